//! A whole chat server: what the program runs, and what the client starts inside itself with `--local`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use log::warn;
use parking_lot::Mutex;

use super::delivery::Bell;
use super::journal::Journal;
use super::keeper::KeeperConfig;
use super::limits::REQUIRE_AUTH;
use super::registration::Registration;
use super::{Chat, Core, Limits, PROCEDURES};
use crate::endpoint::Endpoint;
use crate::page;
use crate::program::{Failure, Flag, HelpWords, Options, Program, keep_running, spawn};
use crate::random;
use crate::rpc::{Credentials, Dispatcher, HTTP_FLAGS, HttpConfig, HttpServer, Janitor, Streams, listen};
use crate::secret::{self, DigestKey};

/// The longest pause between two rounds of the janitor.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The program.
pub const PROGRAM: Program = Program {
    name: "server",
    about: "Serves a chat over XML-RPC and registers it at a binder.",
    arguments: "",
    flags: FLAGS,
    commands: &[],
    alternatives: &[&["binder", "no-binder"], &["data", "share"]],
    of_features: &[("share", "share")],
    examples: &[
        ("server", "listens on 127.0.0.1:9000, binder on 127.0.0.1:5000"),
        ("server --listen 0.0.0.0:9000 --require-auth", "serves the whole network"),
        ("server --no-binder --listen 127.0.0.1:0", "stands alone, on a port that the system chooses"),
    ],
    words: |_| &HelpWords::ENGLISH,
};

const FLAGS: &[&[Flag]] = &[
    &[
        Flag::value(
            "listen",
            "HOST:PORT",
            Some("127.0.0.1:9000"),
            "Address to listen on; port 0 lets the system choose. A service manager's socket takes precedence.",
        ),
        Flag::value("binder", "HOST:PORT", Some("127.0.0.1:5000"), "The binder to register at."),
        Flag::switch("no-binder", "Register nowhere; clients use --server."),
        Flag::value(
            "advertise",
            "HOST[:PORT]",
            None,
            "Address to register, if clients cannot reach the one listened on.",
        ),
        Flag::switch(REQUIRE_AUTH, "Refuse users who register without credentials."),
        Flag::value("secret-file", "FILE", None, "File with the secret that the binder requires."),
    ],
    super::store::FLAGS,
    super::keeper::FLAGS,
    #[cfg(feature = "share")]
    super::share::FLAGS,
    super::limits::FLAGS,
    HTTP_FLAGS,
    page::FLAGS,
];

/// The settings of a chat server.
#[derive(Debug)]
pub struct ServerConfig {
    /// The address and the settings of HTTP.
    pub http: HttpConfig,
    /// The limits in force.
    pub limits: Limits,
    /// The binder to register at, if any.
    pub binder: Option<Endpoint>,
    /// The address to register.
    pub advertise: Option<Endpoint>,
    /// The place of the log.
    pub keeper: KeeperConfig,
    /// The credentials for the binder.
    pub binder_credentials: Option<Credentials>,
}

impl ServerConfig {
    /// Returns a server on `listen` with all defaults.
    #[must_use]
    pub fn new(listen: SocketAddr, binder: Option<Endpoint>) -> Self {
        Self {
            http: HttpConfig::new(listen),
            limits: Limits::default(),
            binder,
            advertise: None,
            keeper: KeeperConfig::Nothing,
            binder_credentials: None,
        }
    }

    /// Reads the command line, and warns of a server that is open by oversight.
    ///
    /// # Errors
    /// [`Failure::Usage`] for what is wrong in it, [`Failure::Failed`] for a name that cannot be resolved.
    pub fn from_options(options: &Options) -> Result<Self, Failure> {
        if options.has("no-binder") && options.has("binder") {
            return Err(Failure::Usage("--binder and --no-binder cannot be combined".into()));
        }
        let binder = if options.has("no-binder") { None } else { Some(options.get::<Endpoint>("binder")?) };
        let advertised = |text| {
            let wrong = |error| Failure::Usage(format!("--advertise {text:?}: {error}"));
            Endpoint::parse_or(text, 0).map_err(wrong)
        };
        let advertise = options.text("advertise").map(advertised).transpose()?;
        let mut http = HttpConfig::from_options(options)?;
        http.page = page::wanted(page::CHAT, options);
        http.hosts.extend(advertise.iter().map(|advertise| advertise.host.clone()));
        let mut limits = Limits::from_options(options)?;
        let keeper = KeeperConfig::from_options(options, &mut limits)?;
        let mut setup = Self { http, limits, binder, advertise, keeper, binder_credentials: None };
        if let Some(path) = options.text("secret-file") {
            if setup.binder.is_none() {
                return Err(Failure::Usage("--secret-file is for the binder, which --no-binder excludes".into()));
            }
            // The binder asks for its secret only; the user part is for people who read logs of a proxy.
            let secret = secret::read_file(path.as_ref())?;
            setup.binder_credentials = Some(Credentials { user: "server".into(), secret });
        }
        if !setup.limits.require_auth && !setup.http.listen.ip().to_canonical().is_loopback() {
            warn!(
                "{} is beyond this machine and users may register without credentials, so that anybody can act as them \
                 and read what is sent to them; --require-auth changes that",
                setup.http.listen
            );
        }
        Ok(setup)
    }
}

/// A running chat server.
pub struct RunningServer {
    chat: Arc<Chat>,
    http: HttpServer,
    registration: Option<(Sender<()>, JoinHandle<()>)>,
    /// The thread that looks after the log.
    maintainer: Option<JoinHandle<()>>,
    _janitor: Janitor,
}

impl RunningServer {
    /// Returns the address on which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.http.address()
    }

    /// Ends all waits and streams, answers received requests and unregisters from the binder, within `timeout`.
    pub fn stop(self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        self.http.drain();
        self.chat.end_all_waits();
        self.chat.end_all_streams();
        let registration = self.registration.map(|(stop, thread)| {
            drop(stop);
            thread
        });
        self.http.stop(deadline);
        self.chat.bell.end();
        self.chat.log.end();
        if let Some(maintainer) = self.maintainer {
            // The flush of what was said last is worth waiting for.
            let _ = maintainer.join();
        }
        if let Some(thread) = registration {
            while !thread.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

/// Starts a chat server.
///
/// # Errors
/// If the address cannot be listened on, or a thread cannot be started.
pub fn start(config: ServerConfig) -> Result<RunningServer, Failure> {
    let ServerConfig { http: config, mut limits, binder, advertise, keeper, binder_credentials } = config;
    let wanted = config.listen;
    let listener =
        listen(&config).map_err(|error| Failure::while_doing(format_args!("cannot listen on {wanted}"), error))?;
    let failed = |error| Failure::while_doing("cannot start", error);
    let (log, state, identity) = keeper.open(&mut limits)?;
    let chat = Arc::new(Chat {
        core: Mutex::new(Core::new(state, Instant::now())),
        journal: Journal::default(),
        log,
        bell: Bell::default(),
        streams: Streams::start().map_err(failed)?,
        digests: DigestKey::random()?,
        salt: identity.salt,
    });

    let mut dispatcher = dispatcher(&chat);
    dispatcher.publish_limits(&config, limits.published());
    dispatcher.publish_server_id(&identity.server_id);
    let round = SWEEP_INTERVAL.min(limits.shortest_idle() / 4).max(Duration::from_millis(100));
    let maintainer = Arc::clone(&chat.log).start(&chat).map_err(failed)?;
    let delivered = Arc::clone(&chat);
    keep_running("deliver", move || delivered.deliver()).map_err(failed)?;
    let http = HttpServer::start(listener, config, Arc::new(dispatcher)).map_err(failed)?;
    let swept = Arc::clone(&chat);
    let janitor = http.start_janitor(round, move || swept.sweep()).map_err(failed)?;
    let registration = match binder {
        None => None,
        Some(binder) => {
            let registration = Registration {
                binder,
                listening: http.address(),
                advertise,
                procedures: PROCEDURES.iter().map(|procedure| procedure.name).collect(),
                instance: random::hex::<16>()?,
                credentials: binder_credentials,
                group: if chat.log.is_shared() { identity.server_id } else { String::new() },
            };
            let (stop, stopped) = bounded::<()>(0);
            let thread = spawn("register", move || registration.keep(&stopped)).map_err(failed)?;
            Some((stop, thread))
        }
    };
    Ok(RunningServer { chat, http, registration, maintainer, _janitor: janitor })
}

/// Returns the procedures, events and metrics of `chat`.
fn dispatcher(chat: &Arc<Chat>) -> Dispatcher {
    let mut dispatcher = Dispatcher::new();
    dispatcher.add_procedures(PROCEDURES, chat);
    let instance_of = Arc::clone(chat);
    dispatcher.on_pipelined(move |connection| instance_of.end_wait_on(connection));
    let subscribed = Arc::clone(chat);
    dispatcher.on_events(move |caller, request, opener| subscribed.subscribe(caller, request, opener));
    let counted = Arc::clone(chat);
    dispatcher.on_metrics(move |out| counted.metrics(out));
    dispatcher
}
