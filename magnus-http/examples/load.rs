//! Load on a service that runs: so many listeners to live events, and so many requests a second, for so long.
//!
//! `cargo run --release -p magnus-http --example load -- http://127.0.0.1:8017 60 200 200 $(pidof magnus)`: address, seconds,
//! listeners, requests a second, and, on Linux, the process to watch. Prints how many answers came, how fast, how many were
//! sent away and went wrong, and what the process used.
#![expect(clippy::unwrap_used, reason = "what fails here ends the program")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use magnus_transport::{HttpOptions, HttpTransport, Transport as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What is asked in turn; every fiftieth request starts all syncs.
const READS: [&str; 5] = [
    "/sync/status",
    "/connections",
    "/unified/tasks?limit=50",
    "/unified/dashboard",
    "/conflicts",
];

/// What was counted.
#[derive(Debug, Default)]
struct Counts {
    events: AtomicU64,
    ended: AtomicU64,
    sent_away: AtomicU64,
    errors: AtomicU64,
}

/// What a process uses, as Linux tells it.
#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    kilobytes: u64,
    files: usize,
}

fn usage(process: &str) -> Option<Usage> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(Usage {
        kilobytes: resident.trim().trim_end_matches(" kB").parse().ok()?,
        files: std::fs::read_dir(format!("/proc/{process}/fd")).ok()?.count(),
    })
}

/// Looks at the process each second, and tells it every ten.
async fn watch(process: String) {
    let mut most = Usage::default();
    for second in 0_u64.. {
        let Some(now) = usage(&process) else { return };
        most = Usage {
            kilobytes: most.kilobytes.max(now.kilobytes),
            files: most.files.max(now.files),
        };
        if second.is_multiple_of(10) {
            println!(
                "after {second} s: {:.1} MB, {} files; at most so far {:.1} MB, {} files",
                now.kilobytes as f64 / 1024.0,
                now.files,
                most.kilobytes as f64 / 1024.0,
                most.files
            );
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn listen(address: String, counts: Arc<Counts>) {
    let heard = async {
        let mut stream = TcpStream::connect(&address).await?;
        let request = format!("GET /sync/events HTTP/1.1\r\nhost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut part = vec![0; 16 * 1024];
        loop {
            let read = stream.read(&mut part).await?;
            if read == 0 {
                return std::io::Result::Ok(());
            }
            let events = part[..read].windows(6).filter(|window| *window == b"event:").count();
            counts.events.fetch_add(events as u64, Ordering::Relaxed);
        }
    };
    let ended: std::io::Result<()> = heard.await;
    if let Err(error) = ended {
        eprintln!("a listener: {error}");
    }
    counts.ended.fetch_add(1, Ordering::Relaxed);
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, seconds, listeners, rate, process @ ..] = arguments.as_slice() else {
        eprintln!("usage: load URL SECONDS LISTENERS REQUESTS_PER_SECOND [PROCESS]");
        std::process::exit(2);
    };
    let (seconds, listeners, rate): (u64, usize, u32) = (
        seconds.parse().unwrap(),
        listeners.parse().unwrap(),
        rate.parse().unwrap(),
    );
    if let [process, ..] = process {
        tokio::spawn(watch(process.clone()));
    }
    let counts = Arc::new(Counts::default());
    let address = url.trim_start_matches("http://").to_owned();
    for _ in 0..listeners {
        tokio::spawn(listen(address.clone(), Arc::clone(&counts)));
    }
    let transport = HttpTransport::new(HttpOptions::default()).unwrap();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    let begun = Instant::now();
    let mut requests = tokio::task::JoinSet::new();
    let mut number = 0;
    while begun.elapsed() < Duration::from_secs(seconds) {
        ticks.tick().await;
        number += 1;
        let (method, path) = match number % 50 {
            0 => ("POST", "/sync/all"),
            _ => ("GET", READS[number % READS.len()]),
        };
        let request = http::Request::builder().method(method).uri(format!("{url}{path}"));
        let (transport, counts) = (transport.clone(), Arc::clone(&counts));
        requests.spawn(async move {
            let begun = Instant::now();
            match transport.send(request.body(Bytes::new()).unwrap()).await {
                Ok(answer) if answer.status().is_success() => {}
                Ok(answer) if answer.status() == 503 => {
                    counts.sent_away.fetch_add(1, Ordering::Relaxed);
                }
                other => {
                    counts.errors.fetch_add(1, Ordering::Relaxed);
                    eprintln!("{method} {path}: {other:?}");
                }
            }
            begun.elapsed()
        });
    }
    let mut times = requests.join_all().await;
    times.sort_unstable();
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
    println!(
        "{} requests in {:.1?}: median {:.1?}, p99 {:.1?}, longest {:.1?}, {} sent away, {} errors; {} events heard, {} of \
         {listeners} listeners lost",
        times.len(),
        begun.elapsed(),
        at(50),
        at(99),
        times[times.len() - 1],
        counts.sent_away.load(Ordering::Relaxed),
        counts.errors.load(Ordering::Relaxed),
        counts.events.load(Ordering::Relaxed),
        counts.ended.load(Ordering::Relaxed),
    );
}
