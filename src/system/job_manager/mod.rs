//! Job managers: each process competes for the dispatcher and for the resource manager, and the
//! dispatcher's process runs the masters of its jobs. Every one of them is elected by itself.
//!
//! - `dispatcher`: takes jobs on, keeps them, removes what they leave;
//! - `resource_manager`: knows task executors and hands their slots to jobs;
//! - `job_master`: one job: slots, attempts, failover, checkpoints.
//!
//! Deliberately absent: nothing assumes a single leader. What a component writes is guarded by its term,
//! what it says carries its session.

mod causes;
mod config;
mod dispatcher;
mod event;
mod job_master;
mod mode;
mod node;
mod operator_check;
mod resource_manager;

pub use causes::{AbortCause, LossCause};
pub use config::{JobManagerConfig, WorkerSettings};
pub use dispatcher::{Dispatcher, DispatcherServices};
pub use event::JobEvent;
pub use job_master::{JobMaster, JobMasterServices};
pub use mode::{Application, ApplicationContext, ApplicationError, RunMode};
pub use node::{JobManagerSettings, serve_job_manager};
pub use operator_check::OperatorCheck;
pub use resource_manager::ResourceManager;
