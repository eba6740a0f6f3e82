//! What becomes of a plan that is too large to be carried out unseen.

mod support;

use support::Pair;

#[tokio::test(flavor = "multi_thread")]
async fn a_halted_plan_is_shown_then_confirmed_and_another_is_discarded() {
    let pair = Pair::synced().await;
    for number in 0..60 {
        pair.openproject
            .create_work_package(pair.project, &format!("plant {number}"));
    }
    pair.magnus.run(&["sync"]).ends(0);
    pair.magnus.run(&["set", "Board", "deletions=delete"]).ends(0);
    for number in 0..40 {
        pair.magnus.run(&["task", "rm", &format!("plant {number}")]).ends(0);
    }
    let before = pair.leantime.tickets().len();
    let said = pair.magnus.run(&["sync", "Board"]).ends(1);
    assert_eq!(
        pair.leantime.tickets().len(),
        before,
        "nothing is written: {}",
        said.out
    );
    assert!(said.out.contains("40 deletions"), "{}", said.out);
    let id = said.out.split("magnus confirm ").nth(1).unwrap();
    let id: String = id.chars().take_while(char::is_ascii_alphanumeric).collect();

    let plan = pair.magnus.run(&["plan", "show", &id]).ends(0);
    assert_eq!(plan.out.matches("delete in tool: plant").count(), 40, "{}", plan.out);
    pair.magnus
        .run(&["confirm", "nosuchrun"])
        .complains(2, &["halted run", &id]);
    pair.magnus.run(&["confirm", &id]).ends(0);
    assert_eq!(pair.leantime.tickets().len(), before - 40);
    let story = pair.magnus.run(&["why", "plant 50"]).ends(0);
    assert!(story.out.contains("created in the hub, from Work"), "{}", story.out);

    pair.magnus.run(&["discard", &id]).ends(0);
    pair.magnus.run(&["confirm", &id]).complains(2, &["halted run"]);
}
