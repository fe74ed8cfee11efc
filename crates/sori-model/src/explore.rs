//! Running a scenario in every order.

use loom::model::Builder;
use loom::thread;
use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A real shard needs more stack than the checker's threads have by themselves; counted in machine words.
const STACK_WORDS: usize = 0x10000;
/// Steps of one run. More than that is a scenario that does not end.
const STEPS_MAX: usize = 20_000;

/// Run `scenario` in every order of its threads' steps.
pub(crate) fn explore(scenario: impl Fn() + Send + Sync + 'static) {
    explore_with(None, scenario);
}

/// Run `scenario` in every order in which a thread is interrupted at most `preemptions` times where it need not wait.
pub(crate) fn explore_with(preemptions: Option<usize>, scenario: impl Fn() + Send + Sync + 'static) {
    let runs = Arc::new(AtomicUsize::new(0));
    let mut builder = Builder::new();
    builder.max_threads = loom::MAX_THREADS;
    builder.max_branches = STEPS_MAX;
    builder.preemption_bound = preemptions.or(builder.preemption_bound);
    let (counted, scenario) = (Arc::clone(&runs), Arc::new(scenario));
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let scenario = Arc::clone(&scenario);
        spawn(move || scenario()).join();
        // Numbers begin at 0 again.
        drop((WAITING.take(), FINISHED.take()));
    });
    let runs = runs.load(Ordering::Relaxed);
    println!("{runs} orders");
    assert!(runs > 1, "with one order only, nothing has met");
}

type Body = Box<dyn FnOnce() -> Box<dyn Any>>;

thread_local! {
    /// All threads of the model run on one thread of the system, which lets shards go from one to another although
    /// they are not `Send`: what a thread is to do and what it found wait here.
    static WAITING: RefCell<Vec<Option<Body>>> = const { RefCell::new(Vec::new()) };
    static FINISHED: RefCell<Vec<Option<Box<dyn Any>>>> = const { RefCell::new(Vec::new()) };
}

/// A thread of the model.
pub(crate) struct Thread<T> {
    handle: thread::JoinHandle<usize>,
    gives: PhantomData<T>,
}

/// Start a thread of the model.
pub(crate) fn spawn<T: 'static>(body: impl FnOnce() -> T + 'static) -> Thread<T> {
    let body: Body = Box::new(|| Box::new(body()));
    let place = put(&WAITING, body);
    let run = move || {
        let body = take(&WAITING, place);
        put(&FINISHED, body())
    };
    let handle = thread::Builder::new().stack_size(STACK_WORDS).spawn(run).expect("the model has threads");
    Thread { handle, gives: PhantomData }
}

impl<T: 'static> Thread<T> {
    pub(crate) fn join(self) -> T {
        let place = self.handle.join().expect("a panic ends the whole model");
        *take(&FINISHED, place).downcast().expect("it is what the thread's body gives")
    }
}

type Places<T> = std::thread::LocalKey<RefCell<Vec<Option<T>>>>;

fn put<T>(places: &'static Places<T>, thing: T) -> usize {
    places.with_borrow_mut(|places| {
        places.push(Some(thing));
        places.len() - 1
    })
}

fn take<T>(places: &'static Places<T>, place: usize) -> T {
    places.with_borrow_mut(|places| places[place].take()).expect("each is taken once")
}
