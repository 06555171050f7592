use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{SyncSender, sync_channel};

use super::*;
use crate::report::Step;
use crate::sinks::tests::told::told;

/// What a receiver does with a batch.
type Receive = Box<dyn FnMut(&[u64], &mut usize) -> Result<(), Trouble> + Send>;

/// A receiver that a test plays.
struct Played {
    receive: Receive,
    batch: usize,
    reopened: Arc<AtomicUsize>,
}

impl Transport for Played {
    fn deliver(&mut self, batch: &[Arc<Told>], done: &mut usize) -> Result<(), Trouble> {
        let numbers: Vec<_> = batch.iter().map(|told| told.number).collect();
        (self.receive)(&numbers, done)
    }

    fn reopen(&mut self) -> Result<(), Trouble> {
        self.reopened.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn batch(&self) -> usize {
        self.batch
    }
}

fn start(
    room: usize,
    batch: usize,
    receive: impl FnMut(&[u64], &mut usize) -> Result<(), Trouble> + Send + 'static,
) -> (Worker, Arc<AtomicUsize>) {
    let reopened = Arc::new(AtomicUsize::new(0));
    let played = Played { receive: Box::new(receive), batch, reopened: Arc::clone(&reopened) };
    (Worker::start("played", "file", room, Box::new(played)).unwrap(), reopened)
}

fn offer(worker: &mut Worker, numbers: core::ops::RangeInclusive<u64>) {
    numbers.for_each(|number| worker.offer(&Arc::new(told(number, Step::Open))));
}

/// Waits, with patience for a busy machine.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn again() -> Result<(), Trouble> {
    Err(Trouble::again("it is down"))
}

#[test]
fn nothing_is_lost_or_turned_around_while_a_receiver_is_down() {
    let (sender, received) = channel();
    let mut tries = 0;
    let (mut worker, _) = start(1_000, 7, move |batch, _| {
        tries += 1;
        // Down at first, and later once more.
        if matches!(tries, 1 | 2 | 5) {
            return again();
        }
        batch.iter().for_each(|number| sender.send(*number).unwrap());
        Ok(())
    });
    offer(&mut worker, 1..=100);
    until("all arrive", || worker.state().delivered == 100);
    assert_eq!(received.try_iter().collect::<Vec<_>>(), (1..=100).collect::<Vec<_>>());
    let state = worker.state();
    assert_eq!((state.dropped, state.queued, state.failures, state.trouble), (0, 0, 3, None));
}

#[test]
fn what_finds_no_room_is_counted_to_the_last_one() {
    let (go, gate) = sync_channel::<()>(0);
    let gate = Mutex::new(gate);
    let (mut worker, _) = start(50, 10, move |_, _| {
        let _ = gate.lock().unwrap().recv();
        Ok(())
    });
    offer(&mut worker, 1..=200);
    // One batch is under way, and counts as waiting.
    let state = worker.state();
    assert_eq!((state.delivered, state.dropped, state.queued), (0, 150, 50));
    drop(go);
    until("the rest arrives", || worker.state().delivered == 50);
    offer(&mut worker, 1..=10);
    let state = worker.finish_in(60);
    assert_eq!((state.delivered, state.dropped), (60, 150));
}

#[test]
fn only_what_is_refused_is_dropped() {
    let (sender, received) = channel();
    let (mut worker, _) = start(1_000, 10, move |batch, _| {
        if batch.contains(&13) {
            return Err(Trouble::Refused("13 is bad".into()));
        }
        batch.iter().for_each(|number| sender.send(*number).unwrap());
        Ok(())
    });
    offer(&mut worker, 1..=40);
    until("all are done with", || worker.state().queued == 0);
    let state = worker.finish_in(60);
    assert_eq!((state.delivered, state.dropped, state.failures), (39, 1, 1));
    let expect: Vec<_> = (1..=40).filter(|number| *number != 13).collect();
    assert_eq!(received.try_iter().collect::<Vec<_>>(), expect);
}

#[test]
fn a_batch_that_is_tried_again_is_the_same_batch() {
    let (sender, received) = channel();
    let (go, gate): (SyncSender<()>, _) = sync_channel(0);
    let gate = Mutex::new(gate);
    let (mut worker, reopened) = start(1_000, 10, move |batch, _| {
        sender.send(batch.to_vec()).unwrap();
        let _ = gate.lock().unwrap().recv();
        if batch == [1] { again() } else { Ok(()) }
    });
    offer(&mut worker, 1..=1);
    let next = || received.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(next(), [1]);
    offer(&mut worker, 2..=9);
    go.send(()).unwrap();
    // What came meanwhile is not put into it; and whoever opens it anew need not wait for the next try.
    worker.reopen();
    assert_eq!(next(), [1]);
    until("it was opened anew", || reopened.load(Ordering::Relaxed) == 1);
    assert_eq!(worker.state().queued, 9);
    drop(go);
    let state = worker.finish_in(60);
    assert_eq!((state.delivered, state.dropped), (0, 9));
}

#[test]
fn what_was_taken_in_part_goes_on_where_it_ended() {
    let (sender, received) = channel();
    let mut first = true;
    let (mut worker, _) = start(1_000, 10, move |batch, done| {
        let count = if core::mem::take(&mut first) { 3.min(batch.len()) } else { batch.len() };
        batch[..count].iter().for_each(|number| sender.send(*number).unwrap());
        *done = count;
        if count == batch.len() { Ok(()) } else { again() }
    });
    offer(&mut worker, 1..=25);
    until("all arrive", || worker.state().delivered == 25);
    assert_eq!(received.try_iter().collect::<Vec<_>>(), (1..=25).collect::<Vec<_>>());
}

#[test]
fn the_end_is_tried_once_more_and_what_is_left_was_dropped() {
    let (sender, tries) = channel();
    let (mut worker, _) = start(1_000, 10, move |_, _| {
        let _ = sender.send(());
        again()
    });
    offer(&mut worker, 1..=5);
    let next = || tries.recv_timeout(Duration::from_secs(60)).unwrap();
    next();
    let state = worker.finish_in(60);
    next();
    assert_eq!((state.delivered, state.dropped, state.queued), (0, 5, 0));
    assert_eq!(state.trouble.as_deref(), Some("it is down"));
}

#[test]
fn a_receiver_that_hangs_does_not_keep_the_end_waiting() {
    let (go, gate) = sync_channel::<()>(0);
    let gate = Mutex::new(gate);
    let (mut worker, _) = start(1_000, 10, move |_, _| {
        let _ = gate.lock().unwrap().recv();
        Ok(())
    });
    offer(&mut worker, 1..=5);
    let state = worker.finish_in(0);
    assert_eq!((state.delivered, state.dropped), (0, 5));
    drop(go);
}

#[test]
fn waits_become_longer_and_have_an_end() {
    for (failures, least, most) in [(1, 375, 500), (2, 750, 1_000), (5, 6_000, 8_000), (99, 22_500, 30_000)] {
        for _ in 0..50 {
            let wait = backoff(failures).as_millis();
            assert!((least..=most).contains(&wait), "{failures}: {wait}");
        }
    }
}

impl Worker {
    fn finish_in(self, seconds: u64) -> OutputState {
        self.stop();
        self.finish(Instant::now() + Duration::from_secs(seconds))
    }
}
