//! Serves a simulated OpenProject and a simulated Leantime on free ports of the loopback address until it is ended:
//! something to connect to, to try Magnus on and to measure it with.
//!
//! Prints one JSON document with addresses, keys and projects. Takes how many tasks each OpenProject project has, and how
//! many projects there are: `cargo run -p magnus-testkit --example simulators -- 100 3`.

use std::error::Error;

use magnus_testkit::sim::leantime::{LeantimeOptions, LeantimeSimulator};
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let tasks: usize = arguments.next().unwrap_or_else(|| "5".to_owned()).parse()?;
    let projects: usize = arguments.next().unwrap_or_else(|| "1".to_owned()).parse()?;

    let openproject = OpenProjectSimulator::new(OpenProjectOptions::default());
    let leantime = LeantimeSimulator::new(LeantimeOptions::default());
    let mut made = Vec::new();
    for number in 1..=projects {
        let name = if projects == 1 {
            "Garden".to_owned()
        } else {
            format!("Garden {number}")
        };
        let project = openproject.create_project(&name, &name.to_lowercase().replace(' ', "-"));
        for task in 1..=tasks {
            openproject.create_work_package(project, &format!("Task {task} of {name}"));
        }
        let board = leantime.create_project(&name);
        made.push(serde_json::json!({ "name": name, "openproject": project, "leantime": board }));
    }
    let (work, board) = (openproject.serve().await?, leantime.serve().await?);
    println!(
        "{}",
        serde_json::json!({
            "openproject": { "url": work.url, "api_key": openproject.api_key() },
            "leantime": { "url": board.url, "api_key": leantime.api_key() },
            "projects": made,
        })
    );
    // Until somebody ends the program.
    std::future::pending::<()>().await;
    Ok(())
}
