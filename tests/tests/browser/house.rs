//! The service over both simulated tools, on a port that stays the same when it is started again.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use magnus_core::breakdown::TaskBreakdown;
use magnus_core::connection::ConnectionExt as _;
use magnus_core::engine::Engine;
use magnus_core::hub::Hub;
use magnus_core::model::{ConnectionId, ConnectionSettings, Field, Run, RunRequest, Task, TaskId, ToolName, Value};
use magnus_core::orchestrator::{BreakdownOptions, Orchestrator};
use magnus_core::secret::{EnvSecretStore, SecretStore as _};
use magnus_core::store::{BreakdownStore, ServiceStore, TaskSearch, TaskStore};
use magnus_http::{ServiceOptions, router};
use magnus_leantime::LeantimeConnector;
use magnus_llm::{LanguageModel, ModelSettings, Provider};
use magnus_openproject::OpenProjectConnector;
use magnus_seal::{MasterKey, SealedSecretStore};
use magnus_sqlite::SqliteStore;
use magnus_testkit::model::FakeModel;
use magnus_testkit::sim::Served;
use magnus_testkit::sim::leantime::{LeantimeOptions, LeantimeSimulator};
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator};
use magnus_transport::HttpOptions;
use secrecy::SecretString;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Both tools, the hub, and the service.
pub(crate) struct House {
    pub(crate) openproject: OpenProjectSimulator,
    pub(crate) leantime: LeantimeSimulator,
    pub(crate) openproject_at: Served,
    pub(crate) leantime_at: Served,
    pub(crate) url: String,
    pub(crate) store: Arc<dyn ServiceStore>,
    pub(crate) hub: Hub,
    pub(crate) engine: Arc<Engine>,
    secrets: Arc<SealedSecretStore>,
    address: SocketAddr,
    service: Option<Service>,
    admin_token: Option<String>,
    model: Option<Thinker>,
    _folder: tempfile::TempDir,
}

/// What breaks tasks down, and where it notes the jobs.
struct Thinker {
    model: Arc<dyn TaskBreakdown>,
    jobs: Arc<dyn BreakdownStore>,
}

struct Service {
    orchestrator: Orchestrator,
    end: CancellationToken,
    served: JoinHandle<std::io::Result<()>>,
}

/// The real client, over a fake model.
pub(crate) async fn fake_model(fake: &FakeModel) -> (Arc<dyn TaskBreakdown>, Served) {
    let served = fake.serve().await.unwrap();
    let settings = ModelSettings::new(Provider::Compatible, "fake").base_url(format!("{}/v1", served.url));
    let model = LanguageModel::new(settings, Arc::new(EnvSecretStore::new()), ConnectionId::generate()).unwrap();
    let model = model.pausing(|_: Duration| Box::pin(std::future::ready(())));
    (Arc::new(model), served)
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::furnished(None, None).await
    }

    /// A house with a model that breaks tasks down.
    pub(crate) async fn thinking(model: Arc<dyn TaskBreakdown>) -> Self {
        Self::furnished(None, Some(model)).await
    }

    /// A house whose service wants this token.
    pub(crate) async fn guarded(admin_token: String) -> Self {
        Self::furnished(Some(admin_token), None).await
    }

    async fn furnished(admin_token: Option<String>, model: Option<Arc<dyn TaskBreakdown>>) -> Self {
        let openproject = OpenProjectSimulator::new(OpenProjectOptions::default());
        let leantime = LeantimeSimulator::new(LeantimeOptions::default().rate_limit_per_minute(1_000_000));
        let (openproject_at, leantime_at) = (openproject.serve().await.unwrap(), leantime.serve().await.unwrap());
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("hub.db").to_string_lossy())
            .await
            .unwrap();
        let jobs: Arc<dyn BreakdownStore> = Arc::new(store.clone());
        let store: Arc<dyn ServiceStore> = Arc::new(store);
        let key = MasterKey::from_bytes([7; 32]);
        let secrets = Arc::new(SealedSecretStore::new(Arc::clone(&store) as _, &key));
        let http = HttpOptions::default;
        let engine = Engine::new(Arc::clone(&store) as Arc<dyn TaskStore>, Arc::clone(&secrets) as _)
            .with_connector(Arc::new(OpenProjectConnector::over_http(http()).unwrap()))
            .with_connector(Arc::new(LeantimeConnector::over_http(http()).unwrap()));
        let hub = Hub::new(Arc::clone(&store) as _);
        let mut house = Self {
            openproject,
            leantime,
            openproject_at,
            leantime_at,
            url: String::new(),
            store,
            hub,
            engine: Arc::new(engine),
            secrets,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            service: None,
            admin_token,
            model: model.map(|model| Thinker { model, jobs }),
            _folder: folder,
        };
        house.start().await;
        house
    }

    /// Starts the service: at first on a free port, later on the same one.
    pub(crate) async fn start(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        self.url = format!("http://{}", self.address);
        let mut orchestrator = Orchestrator::builder(Arc::clone(&self.store) as _, Arc::clone(&self.engine) as _);
        if let Some(Thinker { model, jobs }) = &self.model {
            orchestrator = orchestrator.breakdowns(Arc::clone(jobs), Arc::clone(model), BreakdownOptions::new());
        }
        let orchestrator = orchestrator.build();
        orchestrator.recover().await.unwrap();
        let store = Arc::clone(&self.store);
        let webhooks = Arc::new(SealedSecretStore::for_webhooks(
            Arc::clone(&self.store) as _,
            &MasterKey::from_bytes([7; 32]),
        ));
        let end = CancellationToken::new();
        let mut options = ServiceOptions::new(
            store,
            Arc::clone(&self.engine) as _,
            Arc::clone(&self.secrets) as _,
            webhooks,
        )
        .loopback_and([]);
        options.shutdown = end.clone();
        options.admin_token = self.admin_token.clone().map(SecretString::from);
        let app = router(orchestrator.clone(), options).into_make_service_with_connect_info::<SocketAddr>();
        let ended = end.clone().cancelled_owned();
        let served = tokio::spawn(async move { axum::serve(listener, app).with_graceful_shutdown(ended).await });
        self.service = Some(Service {
            orchestrator,
            end,
            served,
        });
    }

    /// Stops the service; nobody answers on its port any more.
    pub(crate) async fn stop(&mut self) {
        let service = self.service.take().expect("the service runs");
        service.orchestrator.shutdown(Duration::from_secs(30)).await;
        service.end.cancel();
        service.served.await.unwrap().unwrap();
    }

    pub(crate) fn orchestrator(&self) -> &Orchestrator {
        &self.service.as_ref().expect("the service runs").orchestrator
    }

    /// Connects a tool; `change` has the last word on its settings. Projects of equal names in both tools are joined.
    pub(crate) async fn connect(&self, tool: &str, change: impl FnOnce(&mut ConnectionSettings)) -> ConnectionSettings {
        let (name, url, key) = match tool {
            "openproject" => ("Work", &self.openproject_at.url, self.openproject.api_key()),
            _ => ("Board", &self.leantime_at.url, self.leantime.api_key().to_owned()),
        };
        let mut settings = ConnectionSettings::new(ToolName::new(tool), name, url, Utc::now());
        if tool == "leantime" {
            let limit = json!({ "requests_per_minute": 1_000_000 });
            settings.options.tool = limit.as_object().unwrap().clone();
        }
        change(&mut settings);
        let key = SecretString::from(key);
        let connection = self.engine.connect(settings.clone(), key.clone()).await.unwrap();
        let saved = self
            .hub
            .add_connection(settings, key, self.secrets.as_ref())
            .await
            .unwrap();
        assert!(self.secrets.get(saved.id).await.unwrap().is_some());
        self.hub
            .map_all(saved.id, &connection.all_projects().await.unwrap())
            .await;
        saved
    }

    /// A project of the same name in both tools; answers its id in each.
    pub(crate) fn garden(&self) -> (u64, i64) {
        (
            self.openproject.create_project("Garden", "garden"),
            self.leantime.create_project("Garden"),
        )
    }

    /// Runs a connection to its end.
    pub(crate) async fn sync(&self, settings: &ConnectionSettings) -> Run {
        let handle = self.orchestrator().start(RunRequest::new(settings.id)).await.unwrap();
        handle.wait().await.unwrap()
    }

    /// Edits a task of the hub.
    pub(crate) async fn edit(&self, task: TaskId, fields: impl IntoIterator<Item = (Field, Value)>) {
        self.hub.edit_task(task, fields.into_iter().collect()).await.unwrap();
    }

    /// All tasks of the hub.
    pub(crate) async fn tasks(&self) -> Vec<Task> {
        self.store.search_tasks(TaskSearch::default()).await.unwrap().tasks
    }

    pub(crate) async fn sync_all(&self) {
        self.orchestrator().sync_all(None).await.unwrap();
    }
}
