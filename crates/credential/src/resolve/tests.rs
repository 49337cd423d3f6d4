use std::collections::BTreeMap;
use std::sync::Condvar;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use jiff::civil::Date;

use super::*;
use crate::backend::Capabilities;
use crate::context::{Clock, Randomness};

/// Time that passes only while somebody sleeps.
#[derive(Default)]
struct FakeClock(Mutex<Vec<Duration>>);

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn elapsed(&self) -> Duration {
        self.0.lock().expect("unpoisoned").iter().sum()
    }

    fn sleep(&self, duration: Duration) {
        self.0.lock().expect("unpoisoned").push(duration);
    }
}

struct Half;

impl Randomness for Half {
    fn fraction(&self) -> f64 {
        0.5
    }
}

type Script = dyn Fn(usize, &ReadRequest) -> Result<Resolved, BackendError> + Send + Sync;

/// Answers what the test says, and counts.
struct Scripted {
    script: Box<Script>,
    calls: AtomicUsize,
}

impl Scripted {
    fn new(
        script: impl Fn(usize, &ReadRequest) -> Result<Resolved, BackendError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { script: Box::new(script), calls: AtomicUsize::new(0) })
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Backend for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn read(&self, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        requests.iter().map(|request| (self.script)(call, request)).collect()
    }

    fn write(&self, _: &ReadRequest, _: &SecretValue) -> Result<Metadata, BackendError> {
        Ok(Metadata::default())
    }
}

fn value(text: &str) -> Result<Resolved, BackendError> {
    Ok(Resolved { value: SecretValue::copy_of(text.as_bytes()), metadata: Metadata::default() })
}

fn failure(kind: ErrorKind, request: &ReadRequest) -> Result<Resolved, BackendError> {
    Err(BackendError::new(kind, "scripted", &request.reference, "it says so", "ask again"))
}

fn reference(text: &str) -> CredentialRef {
    CredentialRef::parse(text).expect("valid")
}

fn contract(text: &str) -> Contract {
    Contract::load(text, "custody.toml", Date::ZERO).expect("valid")
}

/// A resolver whose default backend is the scripted one; the clock that it sleeps on.
fn resolver(backend: &Arc<Scripted>, text: &str) -> (Resolver, Arc<FakeClock>) {
    let clock = Arc::new(FakeClock::default());
    let variables = BTreeMap::from([(BACKEND_VARIABLE.to_owned(), "environment".to_owned())]);
    let mut context = Context::process(".").with_variables(variables);
    context.clock = Arc::clone(&clock) as Arc<dyn Clock>;
    context.randomness = Arc::new(Half);
    let resolver = Resolver::new(&contract(text), Environment::Local, context).expect("valid");
    resolver.made().insert("environment".to_owned(), Arc::clone(backend) as Arc<dyn Backend>);
    (resolver, clock)
}

fn text_of(answer: Result<Resolved, ResolveError>) -> String {
    answer.expect("resolves").value.expose_str().expect("UTF-8").to_owned()
}

#[test]
fn answers_come_in_the_order_of_the_references_and_each_is_read_once() {
    let backend = Scripted::new(|_, request| match request.reference.access() {
        "missing" => failure(ErrorKind::NotFound, request),
        access => value(access),
    });
    let (resolver, _) = resolver(&backend, "");
    let wanted = ["cred://a/b/x", "cred://a/b/missing", "cred://a/b/y", "cred://a/b/x"].map(reference);
    let answers = resolver.resolve(&wanted);
    let seen: Vec<String> = answers.into_iter().map(|a| a.map_or_else(|_| "-".into(), |r| text_of(Ok(r)))).collect();
    assert_eq!(seen, ["x", "-", "y", "x"]);
    assert_eq!(backend.calls(), 1);
}

#[test]
fn what_may_pass_is_tried_again_and_only_that() {
    let backend = Scripted::new(|call, request| match (request.reference.access(), call) {
        ("limited", 0 | 1) => failure(ErrorKind::RateLimited, request),
        ("denied", _) => failure(ErrorKind::Denied, request),
        (access, _) => value(access),
    });
    let (resolver, clock) = resolver(&backend, "");
    let answers = resolver.resolve(&["cred://a/b/denied", "cred://a/b/limited", "cred://a/b/x"].map(reference));
    assert_eq!(answers[0].as_ref().expect_err("denied").kind(), FailureKind::Denied);
    assert!(answers[1].is_ok() && answers[2].is_ok());
    let slept: Vec<u128> = clock.0.lock().expect("unpoisoned").iter().map(Duration::as_millis).collect();
    assert_eq!(slept, [100, 200]);
}

#[test]
fn a_server_that_says_how_long_to_wait_is_believed_within_the_limit() {
    let after = |seconds| {
        Scripted::new(move |call, request| match call {
            0 => failure(ErrorKind::RateLimited, request).map_err(|mut error| {
                error.retry_after = Some(Duration::from_secs(seconds));
                error
            }),
            _ => value("x"),
        })
    };
    let (backend, far) = (after(7), after(60));
    let (near_resolver, clock) = resolver(&backend, "");
    assert!(near_resolver.resolve(&[reference("cred://a/b/x")])[0].is_ok());
    assert_eq!(clock.elapsed(), Duration::from_secs(7));
    let (far_resolver, clock) = resolver(&far, "");
    assert!(far_resolver.resolve(&[reference("cred://a/b/x")])[0].is_err());
    assert_eq!((clock.elapsed(), far.calls()), (Duration::ZERO, 1));
}

#[test]
fn attempts_of_the_contract_file_count() {
    let backend = Scripted::new(|_, request| failure(ErrorKind::Unreachable, request));
    let (resolver, _) = resolver(&backend, "[backends.environment]\nkind = \"environment\"\nattempts = 5\n");
    assert_eq!(
        resolver.resolve(&[reference("cred://a/b/x")])[0].as_ref().expect_err("away").kind(),
        FailureKind::Unavailable
    );
    assert_eq!(backend.calls(), 5);
}

#[test]
fn what_is_missing_is_remembered_for_a_moment_and_not_after_a_write() {
    let backend = Scripted::new(|call, request| match call {
        0 | 2 => failure(ErrorKind::NotFound, request),
        _ => value("x"),
    });
    let (resolver, clock) = resolver(&backend, "");
    let wanted = [reference("cred://a/b/x")];
    assert!(resolver.resolve(&wanted)[0].is_err());
    assert!(resolver.resolve(&wanted)[0].is_err());
    assert_eq!(backend.calls(), 1);
    clock.sleep(Duration::from_secs(3));
    assert!(resolver.resolve(&wanted)[0].is_ok());
    assert!(resolver.resolve(&wanted)[0].is_err(), "a value is not remembered");
    resolver.put(&wanted[0], &SecretValue::copy_of(b"new")).expect("written");
    assert!(resolver.resolve(&wanted)[0].is_ok());
    assert_eq!(backend.calls(), 4);
}

#[test]
fn nobody_gets_an_answer_to_a_read_that_began_before_he_asked() {
    // The first read hangs until the value has been rotated and seven more have asked.
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let current = Arc::new(Mutex::new("old".to_owned()));
    let (hold, read) = (Arc::clone(&gate), Arc::clone(&current));
    let backend = Scripted::new(move |call, _| {
        let seen = read.lock().expect("unpoisoned").clone();
        if call == 0 {
            let mut open = hold.0.lock().expect("unpoisoned");
            while !*open {
                open = hold.1.wait(open).expect("unpoisoned");
            }
        }
        value(&seen)
    });
    let (resolver, _) = resolver(&backend, "");
    let wanted = [reference("cred://a/b/x")];
    std::thread::scope(|scope| {
        let early = scope.spawn(|| text_of(resolver.resolve(&wanted).remove(0)));
        while backend.calls() == 0 {
            std::thread::yield_now();
        }
        *current.lock().expect("unpoisoned") = "new".to_owned();
        let late: Vec<_> = (0..7).map(|_| scope.spawn(|| text_of(resolver.resolve(&wanted).remove(0)))).collect();
        while resolver.flights.waiting() < 7 {
            std::thread::yield_now();
        }
        *gate.0.lock().expect("unpoisoned") = true;
        gate.1.notify_all();
        assert_eq!(early.join().expect("ends"), "old");
        for thread in late {
            assert_eq!(thread.join().expect("ends"), "new");
        }
    });
    assert_eq!(backend.calls(), 2, "the seven share one read");
}

#[test]
fn callers_with_overlapping_references_do_not_wait_for_each_other_for_ever() {
    let backend = Scripted::new(|_, request| value(request.reference.access()));
    let (resolver, _) = resolver(&backend, "");
    let names = ["cred://a/b/v", "cred://a/b/w", "cred://a/b/x", "cred://a/b/y"].map(reference);
    std::thread::scope(|scope| {
        for start in 0..4 {
            let (resolver, names) = (&resolver, &names);
            scope.spawn(move || {
                for round in 0..200 {
                    let wanted: Vec<_> = (0..3).map(|i| names[(start + i * (1 + round % 3)) % 4].clone()).collect();
                    for (reference, answer) in wanted.iter().zip(resolver.resolve(&wanted)) {
                        assert_eq!(text_of(answer), reference.access());
                    }
                }
            });
        }
    });
}

#[test]
fn a_backend_that_panics_leaves_nobody_waiting() {
    let backend = Scripted::new(|call, _| if call == 0 { panic!("a fault of the backend") } else { value("x") });
    let (resolver, _) = resolver(&backend, "");
    let wanted = [reference("cred://a/b/x")];
    let first = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| resolver.resolve(&wanted).remove(0)));
    assert!(first.is_err());
    assert!(resolver.resolve(&wanted)[0].is_ok());
}

#[test]
fn release_environments_resolve_registered_credentials_only() {
    let text = "[[credential]]\nreference = \"cred://a/b/both\"\n[[credential]]\nreference = \"cred://a/b/prod\"\nenvironments = [\"prod\"]\n";
    let wanted = ["cred://a/b/both", "cred://a/b/prod", "cred://a/b/other"].map(reference);
    for (environment, expected) in [
        (Environment::Local, [true, false, true]),
        (Environment::Stage, [true, false, false]),
        (Environment::Prod, [true, true, false]),
    ] {
        let variables = BTreeMap::from([(BACKEND_VARIABLE.to_owned(), "environment".to_owned())]);
        let context = Context::process(".").with_variables(variables);
        let resolver = Resolver::new(&contract(text), environment, context).expect("valid");
        let denied = |r: &CredentialRef| resolver.permitted(r).is_ok();
        assert_eq!(wanted.each_ref().map(denied), expected, "{environment}");
    }
}

#[test]
fn places_follow_the_contract_then_the_variable_then_the_default() {
    let text = "[backends.platform]\nkind = \"environment\"\nprefix = \"APP_\"\n[environments.prod]\nbackend = \"platform\"\n\
                [[credential]]\nreference = \"cred://a/b/c\"\nlocation = \"PLAIN\"\nprod = { location = \"PROD#k\" }\n";
    let place = |environment, variable: Option<&str>, name: &str| {
        let variables =
            variable.map(|v| (BACKEND_VARIABLE.to_owned(), v.to_owned())).into_iter().collect::<BTreeMap<_, _>>();
        let resolver = Resolver::new(&contract(text), environment, Context::process(".").with_variables(variables));
        let place = resolver.expect("valid").place(&reference(name)).expect("a place");
        format!("{} {}", place.backend, place.location)
    };
    assert_eq!(place(Environment::Prod, None, "cred://a/b/c"), "platform PROD#k");
    assert_eq!(place(Environment::Prod, None, "cred://a/b/d"), "platform APP_A_B_D");
    assert_eq!(place(Environment::Local, Some("env"), "cred://a/b/c"), "env PLAIN");
    assert_eq!(place(Environment::Prod, Some("environment"), "cred://a/b/d"), "environment A_B_D");
}

#[test]
fn unknown_backends_get_the_closest_name() {
    for (text, variable, said) in [
        ("", "enviroment", "did you mean environment?"),
        ("[backends.vault]\nkind = \"environment\"\n", "vualt", "did you mean vault?"),
        ("[backends.vault]\nkind = \"enviromnent\"\n", "vault", "did you mean environment?"),
        ("", "nothing-like-it", "there are: "),
    ] {
        let variables = BTreeMap::from([(BACKEND_VARIABLE.to_owned(), variable.to_owned())]);
        let context = Context::process(".").with_variables(variables);
        let error = Resolver::new(&contract(text), Environment::Local, context).expect_err(variable);
        assert!(error.fix.starts_with(said), "{error:?}");
    }
    // Settings are looked at when the backend is first needed.
    let text = "[backends.vault]\nkind = \"environment\"\nmout = \"kv\"\n";
    let resolver = Resolver::new(&contract(text), Environment::Local, {
        Context::process(".").with_variables(BTreeMap::from([(BACKEND_VARIABLE.to_owned(), "vault".to_owned())]))
    });
    let answer = resolver.expect("valid").resolve(&[reference("cred://a/b/c")]).remove(0).expect_err("unknown setting");
    assert_eq!(
        (answer.kind(), answer.why()),
        (FailureKind::Usage, "backend `vault`: there is no setting mout".to_owned())
    );
}
