//! What has to hold for long, beside others, or against somebody who means harm.

pub mod churn;
pub mod collide;
pub mod limit;
pub mod watch;
