//! What has to hold for long, or against somebody who means harm.

pub mod churn;
pub mod collide;
pub mod limit;
