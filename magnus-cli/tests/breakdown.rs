//! The built program breaks tasks down with a fake model: from the command line, as a service, and after it was killed.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/service.rs"]
mod service;
mod support;

use std::process::Command;

use magnus_testkit::model::{FakeModel, Reply};
use magnus_testkit::sim::Served;
use serde_json::{Value, json};
use service::{Service, until};
use support::{Magnus, Said};

/// A hub with a task, and a fake model.
struct Bench {
    magnus: Magnus,
    fake: FakeModel,
    served: Served,
}

impl Bench {
    async fn new(script: impl IntoIterator<Item = Reply>) -> Self {
        Self::on(Magnus::new(), script).await
    }

    async fn on(magnus: Magnus, script: impl IntoIterator<Item = Reply>) -> Self {
        let fake = FakeModel::scripted(script);
        let served = fake.serve().await.unwrap();
        let filling = Service::start(&magnus);
        let project = filling.post("/projects", &json!({ "name": "Garden" }), 201).await;
        let task = json!({ "project_id": project["id"], "title": "Grow tomatoes" });
        filling.post("/tasks", &task, 201).await;
        filling.terminate();
        Self { magnus, fake, served }
    }

    /// Points a command at the fake model.
    fn thinking(&self, command: &mut Command) {
        command
            .env("MAGNUS_AI_MODEL", "fake")
            .env("MAGNUS_AI_URL", format!("{}/v1", self.served.url))
            .env("MAGNUS_AI_KEY", support::KEY)
            .env("MAGNUS_LEASE_SECONDS", "1");
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let mut command = self.magnus.command(arguments);
        self.thinking(&mut command);
        support::said(command)
    }

    fn service(&self) -> Service {
        Service::start_with(&self.magnus, &[], |command| self.thinking(command))
    }

    fn task(&self) -> Value {
        self.run(&["task", "show", "Grow tomatoes", "--json"]).ends(0).json()["task"].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_broken_down_shown_and_accepted_from_the_command_line() {
    let bench = Bench::new([]).await;
    let without = bench.magnus.run(&["breakdown", "Grow tomatoes", "--wait"]);
    without.complains(
        2,
        &["no language model is configured", "MAGNUS_AI_PROVIDER", "MAGNUS_AI_URL"],
    );
    let said = bench.run(&["breakdown", "Grow tomatoes", "--wait"]).ends(0);
    for line in [
        "13 h, 5 points",
        "0. Agree on what is to come of",
        "after 1 and 2",
        "--accept",
    ] {
        assert!(said.out.contains(line), "{line:?} is missing in: {}", said.out);
    }
    assert!(
        bench.fake.requests()[0].headers["authorization"]
            .to_str()
            .unwrap()
            .ends_with(support::KEY)
    );
    bench.magnus.assert_key_is_not_stored();
    assert_eq!(
        bench.task()["metadata"]["ai_breakdown"]["subtasks"]
            .as_array()
            .unwrap()
            .len(),
        4
    );

    // The proposal stands: accepting it asks nobody.
    let accept = ["breakdown", "Grow tomatoes", "--accept", "--only", "0,2", "--json"];
    let accepted = bench.magnus.run(&accept).ends(0).json();
    assert_eq!(
        (&accepted["created"], accepted["subtasks"].as_array().unwrap().len()),
        (&2.into(), 2)
    );
    assert_eq!(bench.magnus.run(&accept).ends(0).json()["created"], 0);
    let all = ["breakdown", "Grow tomatoes", "--accept", "--json"];
    assert_eq!(bench.magnus.run(&all).ends(0).json()["created"], 2);
    assert_eq!(bench.fake.requests().len(), 1);
    let tasks = bench.magnus.run(&["tasks", "--json"]).ends(0).json();
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_fails_is_said_to_have_failed() {
    let bench = Bench::new([Reply::Status(401)]).await;
    let said = bench.run(&["breakdown", "Grow tomatoes", "--wait"]);
    assert!(said.code != 0 && said.out.contains("refuses the key"), "{said:?}");
    said.ends(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_queued_is_carried_out_by_the_service() {
    let bench = Bench::new([]).await;
    let queued = bench
        .magnus
        .run(&["breakdown", "Grow tomatoes", "--json"])
        .ends(0)
        .json();
    assert_eq!(queued["status"], "queued");
    let service = bench.service();
    let path = format!("/ai/breakdowns/{}", queued["job_id"].as_str().unwrap());
    until("the proposal", || async {
        service.get(&path).await["status"] == "completed"
    })
    .await;
    assert_eq!(bench.fake.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_breaks_down_it_ends_once_with_one_proposal_on_sqlite() {
    killed_while_it_breaks_down(Magnus::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_breaks_down_it_ends_once_with_one_proposal_on_postgres() {
    killed_while_it_breaks_down(Magnus::on_postgres().await).await;
}

async fn killed_while_it_breaks_down(magnus: Magnus) {
    let bench = Bench::on(magnus, [Reply::Hangs]).await;
    let task = bench.task()["id"].as_str().unwrap().to_owned();
    let service = bench.service();
    let started = service.act(&format!("/ai/breakdown-async?task_id={task}"), 202).await;
    let path = format!("/ai/breakdowns/{}", started["job_id"].as_str().unwrap());
    bench.fake.asked(1).await;
    assert_eq!(service.get(&path).await["status"], "running");
    service.kill();

    let service = bench.service();
    until("the end", || async {
        service.get(&path).await["status"] == "completed"
    })
    .await;
    let job = service.get(&path).await;
    assert_eq!((&job["attempts"], bench.fake.requests().len()), (&2.into(), 2), "{job}");
    let proposal = service.get(&format!("/tasks/{task}")).await["metadata"]["ai_breakdown"].clone();
    assert_eq!(proposal["job_id"], started["job_id"]);
    assert_eq!(proposal["subtasks"], job["breakdown"]["subtasks"]);
    // It is over: nothing goes on when the next process starts.
    service.terminate();
    let service = bench.service();
    assert_eq!(service.get(&path).await, job);
    assert_eq!(
        service.get(&format!("/tasks/{task}")).await["metadata"]["ai_breakdown"],
        proposal
    );
    assert_eq!(bench.fake.requests().len(), 2);
}
