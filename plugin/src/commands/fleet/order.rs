//! Several jobs at once, and what comes of them one after the other.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::unbounded_channel;

/// How many jobs may be done before one that is not: what comes of them waits, in memory and in temporary files.
const AHEAD: usize = 256;

/// Does the jobs, at most `parallel` at once, and gives what comes of each to `take`, in the order of the jobs. They go on
/// while something is being taken.
///
/// # Errors
/// What `take` fails with: then no job goes on.
pub(super) async fn in_order<T, E>(
    jobs: impl IntoIterator<Item = impl Future<Output = T>>,
    parallel: usize,
    mut take: impl AsyncFnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let turns = &Semaphore::new(parallel.clamp(1, Semaphore::MAX_PERMITS));
    let ahead = &Arc::new(Semaphore::new(parallel.saturating_add(AHEAD).min(Semaphore::MAX_PERMITS)));
    // Neither is ever closed, and both let the jobs in as they stand here.
    let job = |job| async move {
        let place = Arc::clone(ahead).acquire_owned().await;
        let _turn = turns.acquire().await;
        (job.await, place)
    };
    let mut doing: FuturesOrdered<_> = jobs.into_iter().map(job).collect();
    let (hand_over, mut done) = unbounded_channel();
    let work = async move {
        while let Some(result) = doing.next().await {
            let _ = hand_over.send(result);
        }
        Ok(())
    };
    let taking = async {
        while let Some((result, _place)) = done.recv().await {
            take(result).await?;
        }
        Ok(())
    };
    tokio::try_join!(work, taking).map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::convert::Infallible;

    use futures::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn no_more_than_so_many_jobs_are_under_way_and_never_fewer_where_there_are_more() {
        let (under_way, seen) = (Cell::new(0), RefCell::new(Vec::new()));
        let jobs = (0..10).map(|_| async {
            under_way.set(under_way.get() + 1);
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            seen.borrow_mut().push(under_way.get());
            under_way.set(under_way.get() - 1);
        });
        in_order(jobs, 3, async |()| Ok::<_, Infallible>(())).await.expect("nothing fails");
        let seen = seen.take();
        assert_eq!(seen.iter().max(), Some(&3), "{seen:?}");
        assert_eq!(seen.len(), 10);
    }

    #[tokio::test]
    async fn what_is_done_first_is_taken_in_its_turn() {
        let (end, wait) = oneshot::channel::<()>();
        let mut wait = Some(wait);
        let done = RefCell::new(Vec::new());
        let jobs = (0..3).map(|number| {
            let wait = wait.take();
            let done = &done;
            async move {
                if let Some(wait) = wait {
                    let _ = wait.await;
                }
                done.borrow_mut().push(number);
                number
            }
        });
        let taken = RefCell::new(Vec::new());
        let mut all = std::pin::pin!(in_order(jobs, 2, async |number| {
            taken.borrow_mut().push(number);
            Ok::<_, Infallible>(())
        }));
        assert!(all.as_mut().now_or_never().is_none());
        assert_eq!((&*done.borrow(), taken.borrow().len()), (&vec![1, 2], 0), "the first one stops no other");
        end.send(()).expect("it waits");
        all.await.expect("nothing fails");
        assert_eq!(taken.take(), [0, 1, 2]);
    }

    #[tokio::test]
    async fn jobs_go_on_while_something_is_taken_and_end_where_nothing_can_be() {
        let begun = Cell::new(0);
        let jobs = (0..3).map(|_| async { begun.set(begun.get() + 1) });
        let failed = in_order(jobs, 1, async |()| {
            while begun.get() < 3 {
                tokio::task::yield_now().await;
            }
            Err("no room")
        });
        assert_eq!(failed.await, Err("no room"));
    }
}
