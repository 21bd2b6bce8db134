//! Which requests have to wait while clients are paused (`CLIENT PAUSE`).

use std::sync::Arc;

use super::Session;
use super::execute;
use crate::commands::spec::Flags;
use crate::commands::table;
use crate::resp::Request;
use crate::shared::pause::Paused;
use crate::shared::{Shared, observer};

/// Whether a request has to wait. One that will be refused anyway need not.
#[inline]
pub(super) fn has_to_wait(shared: &Arc<Shared>, session: &Session, request: Request<'_>) -> bool {
    shared.observers() & observer::PAUSE != 0 && is_paused(shared, session, request)
}

#[cold]
fn is_paused(shared: &Arc<Shared>, session: &Session, request: Request<'_>) -> bool {
    // A store that fails will tell so itself.
    let _ = shared.resume_clients_in_time();
    let Ok(id) = execute::find(session, request) else { return false };
    match shared.pause.kind().filter(|_| !shared.is_stopping()) {
        None => false,
        Some(Paused::All) => true,
        Some(Paused::Writes) => {
            let may_change =
                |id: usize| table::get(id).flags.has(Flags::WRITE.with(Flags::MAY_REPLICATE));
            let queue = match table::get(id).name {
                "exec" => session.queue.as_deref().unwrap_or_default(),
                _ => &[],
            };
            may_change(id) || queue.iter().any(|queued| may_change(queued.id))
        }
    }
}
