//! `magnus serve`: the service.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use magnus_core::orchestrator::Orchestrator;
use magnus_core::queue::RunQueue;
use magnus_http::{RemoteCalls, ServerLimits, ServiceOptions};
use magnus_postgres::{GraphileQueue, PostgresExchange};
use magnus_seal::SealedSecretStore;
use secrecy::SecretString;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

use crate::ai::AiOptions;
use crate::answer::Answer;
use crate::failure::Failure;
use crate::house::{self, House};
use crate::plain;
use crate::service::metered::Metered;
use crate::service::switch::Switch;
use crate::signals::{asked_to_stop, lease_ttl, log_kept};

/// How often a database that is away is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(3);

/// How long answers that were begun may take to end after the runs have ended.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
#[command(after_help = "\
As long as there is no access token, whoever reaches the service may do everything: it listens on loopback only. Make
tokens with `magnus tokens create`. SIGTERM or Ctrl-C ends it: nothing new begins, started writes end, the rest goes on
at the next start.")]
pub(crate) struct Arguments {
    /// Where to listen
    #[arg(
        long,
        env = "MAGNUS_LISTEN",
        default_value = "127.0.0.1:8017",
        value_name = "ADDRESS:PORT"
    )]
    listen: String,
    /// A further host name under which the service may be asked; may be given several times
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// An origin whose pages may ask, such as `https://board.example.org`; may be given several times
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<String>,
    /// Allow instances on link-local addresses, where clouds keep their metadata services
    #[arg(long)]
    allow_link_local: bool,
    /// The most runs that go on at once
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: u16,
    /// The most connections at once; who comes later is answered 503
    #[arg(long, default_value_t = 768, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_connections: u32,
    /// The most requests in work at once, besides those that wait for a run or listen; further ones are answered 503
    #[arg(long, default_value_t = 128, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_requests: u32,
    /// The most clients that listen to live events at once; further ones are answered 503
    #[arg(long, default_value_t = 512, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_listeners: u32,
    /// Only answer; runs are left to `magnus worker`, on a hub on Postgres
    #[arg(long)]
    no_runs: bool,
    /// How many seconds started writes may take to end when the service is stopped
    #[arg(long, default_value_t = 20, value_name = "SECONDS")]
    grace: u64,
    #[command(flatten)]
    ai: AiOptions,
}

pub(crate) async fn run(database: Option<&str>, arguments: Arguments) -> Result<Answer, Failure> {
    let address = address(&arguments.listen).await?;
    let token = admin_token()?;
    let house = House::open(database).await;
    // A database that is away holds no less tokens than before: it is looked for them once it is there.
    if let Ok(house) = &house
        && token.is_none()
    {
        refuse_without_token(house, address).await?;
    }
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Failure::unreachable(format!("nothing can listen on {address}: {error}")))?;
    let address = listener
        .local_addr()
        .map_err(|error| Failure::unreachable(format!("the listening address is not known: {error}")))?;
    tell_settings(database, &arguments, address, token.is_some());

    let end = CancellationToken::new();
    let switch = Switch::new(magnus_http::unavailable(
        "the hub's database cannot be opened; it is tried again",
    ));
    let mut limits = ServerLimits::default();
    limits.connections = count(arguments.max_connections);
    let service = tokio::spawn(magnus_http::serve(listener, switch.router(), limits, end.clone()));
    let runs = Runs::start()?;
    let place = Place {
        address,
        switch: &switch,
        end: &end,
        runs: runs.handle(),
    };
    let work = work(house, database, &arguments, token, &place);
    let begun = tokio::select! {
        begun = work => Some(begun?),
        () = asked_to_stop() => None,
    };
    if let Some((house, orchestrator)) = begun {
        asked_to_stop().await;
        tracing::info!("stopping: nothing new begins, started writes end");
        let left = orchestrator.shutdown(Duration::from_secs(arguments.grace)).await;
        tracing::info!(interrupted = left.len(), "all runs have stopped");
        end.cancel();
        let served = tokio::time::timeout(LAST_ANSWERS, service).await;
        if served.is_err() {
            tracing::warn!("some answers were not read to their end");
        }
        house.close().await;
    }
    Answer::new("", &json!({ "status": "stopped" }))
}

/// Where runs are carried out: on threads of their own, so that whoever asks something is not kept waiting by what they
/// compute.
struct Runs(Option<Runtime>, Handle);

impl Runs {
    fn start() -> Result<Self, Failure> {
        let runtime = Builder::new_multi_thread()
            .thread_name("magnus-runs")
            .enable_all()
            .build();
        let runtime = runtime
            .map_err(|error| Failure::unreachable(format!("the runtime of the runs cannot be started: {error}")))?;
        let handle = runtime.handle().clone();
        Ok(Self(Some(runtime), handle))
    }

    const fn handle(&self) -> &Handle {
        &self.1
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // To wait for it is not allowed here, and all runs have ended by now or been given up.
            runtime.shutdown_background();
        }
    }
}

/// Where the service is to work.
struct Place<'a> {
    address: SocketAddr,
    switch: &'a Switch,
    end: &'a CancellationToken,
    runs: &'a Handle,
}

/// Opens the hub, however long that takes, and puts the service in its place. Answers once it works.
async fn work(
    opened: Result<House, Failure>,
    database: Option<&str>,
    arguments: &Arguments,
    token: Option<SecretString>,
    place: &Place<'_>,
) -> Result<(House, Orchestrator), Failure> {
    let address = place.address;
    let ready = || plain::to_stdout(&format!("listening on http://{address}"));
    let mut is_told = false;
    let mut opened = opened;
    let house = loop {
        match opened {
            Ok(house) => break house,
            Err(failure) if failure.is_usage() => return Err(failure),
            Err(failure) => {
                tracing::error!(
                    "the database cannot be opened, and is tried again: {}",
                    failure.message()
                );
                if !is_told {
                    ready();
                    is_told = true;
                }
                tokio::time::sleep(TRY_AGAIN).await;
                opened = House::open(database).await;
            }
        }
    };
    if token.is_none() {
        refuse_without_token(&house, address).await?;
    }
    let log_kept = log_kept()?;
    let calls = RemoteCalls::default();
    let store = house.service();
    let key = house.master_key()?;
    let secrets = house.secrets()?;
    let transport = Arc::new(Metered::new(house::transport()?, calls.clone()));
    let engine = house::engine_over(
        Arc::clone(&transport) as _,
        Arc::clone(&house.store),
        Arc::clone(&secrets),
    );
    let engine = Arc::new(house::dressed(engine, house.layers()));
    let probe = Arc::new(house::engine_over(
        transport,
        Arc::clone(&house.store),
        Arc::clone(&secrets),
    ));
    let mut orchestrator = Orchestrator::builder(Arc::clone(&house.store), engine)
        .lease_ttl(lease_ttl()?)
        .concurrency(usize::from(arguments.concurrency));
    if arguments.no_runs {
        orchestrator = orchestrator.queue(workers_queue(&house).await?);
    }
    if let Some(store) = house.postgres() {
        orchestrator = orchestrator.exchange(Arc::new(PostgresExchange::new(store)));
    }
    let orchestrator = arguments.ai.add_to(orchestrator, &house)?;
    let orchestrator = {
        let _inside = place.runs.enter();
        orchestrator.build()
    };
    let webhook_secrets = Arc::new(SealedSecretStore::for_webhooks(Arc::clone(&house.store), &key));
    let mut options = ServiceOptions::new(Arc::clone(&store), probe, secrets, webhook_secrets);
    options.open_without_tokens = address.ip().is_loopback();
    if options.open_without_tokens && token.is_none() && store.tokens().await?.is_empty() {
        tracing::warn!(
            "there is no access token: everybody on this machine may use the service; see `magnus tokens create`"
        );
    }
    options.admin_token = token;
    options.origins = arguments.origin.iter().cloned().collect();
    options.allow_link_local = arguments.allow_link_local;
    options.requests_at_once = count(arguments.max_requests);
    options.listeners_at_once = count(arguments.max_listeners);
    options.remote_calls = calls;
    options.shutdown = place.end.child_token();
    let hosts = arguments.host.iter().map(|host| host.to_ascii_lowercase());
    if address.ip().is_loopback() {
        options = options.loopback_and(hosts);
    } else {
        options.hosts = hosts.collect();
    }
    let resumed = orchestrator.recover().await.map_err(Failure::from)?;
    if !resumed.is_empty() {
        tracing::info!(runs = resumed.len(), "runs that a process before left behind go on");
    }
    super::keep_house(&orchestrator, &store, log_kept);
    place.switch.to(magnus_http::router(orchestrator.clone(), options));
    if !is_told {
        ready();
    }
    Ok((house, orchestrator))
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Where workers hear of runs.
async fn workers_queue(house: &House) -> Result<Arc<dyn RunQueue>, Failure> {
    let Some(store) = house.postgres() else {
        return Err(Failure::usage(
            "--no-runs leaves runs to workers, and they need a hub on Postgres",
        ));
    };
    Ok(Arc::new(GraphileQueue::open(store, 1).await?))
}

async fn address(text: &str) -> Result<SocketAddr, Failure> {
    let malformed = || {
        Failure::usage(format!(
            "{text:?} (--listen or MAGNUS_LISTEN) is no address to listen on; expected one such as 127.0.0.1:8017"
        ))
    };
    let mut found = tokio::net::lookup_host(text).await.map_err(|_| malformed())?;
    found.next().ok_or_else(malformed)
}

fn admin_token() -> Result<Option<SecretString>, Failure> {
    match std::env::var("MAGNUS_API_TOKEN") {
        Ok(token) if token.trim().is_empty() => Ok(None),
        Ok(token) if token.trim().len() < 16 => Err(Failure::usage(
            "MAGNUS_API_TOKEN is too short to be a secret; make one with `magnus tokens create`",
        )),
        Ok(token) => Ok(Some(SecretString::from(token.trim()))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Failure::usage("MAGNUS_API_TOKEN holds no text")),
    }
}

async fn refuse_without_token(house: &House, address: SocketAddr) -> Result<(), Failure> {
    if address.ip().is_loopback() || !house.service().tokens().await?.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{address} can be reached from elsewhere and there is no access token: make one with `magnus tokens create`, or \
         set MAGNUS_API_TOKEN, or listen on 127.0.0.1"
    )))
}

/// Tells with which settings the service begins, without secrets.
fn tell_settings(database: Option<&str>, arguments: &Arguments, address: SocketAddr, has_admin_token: bool) {
    let location = house::location(database).unwrap_or_default();
    tracing::info!(
        database = %house::without_password(&location),
        listen = %address,
        hosts = ?arguments.host,
        origins = ?arguments.origin,
        allow_link_local = arguments.allow_link_local,
        concurrency = arguments.concurrency,
        max_connections = arguments.max_connections,
        max_requests = arguments.max_requests,
        max_listeners = arguments.max_listeners,
        grace_seconds = arguments.grace,
        token_from_environment = has_admin_token,
        "magnus {} begins",
        env!("CARGO_PKG_VERSION")
    );
}
