//! The processes that bring the text to a word count cluster.

use super::{
    CliError, Outcome, kept::KeptRun, kills::Pace, origin::Origin, settings::PARALLELISM,
    text::Text,
};
use crate::{
    cli::live::{cluster::Worker, place::run, text::parse_duration},
    host::Host,
    jobs::{
        common::{
            JobCourse, JobPlan, JobSettings, Submission, partition_lines, run_job, write_lines,
        },
        word_count::{topics, word_count},
    },
    system::{
        cluster::bind,
        connector::{Input, LogSourceParameters, TextSourceParameters, upload_text},
        dataflow::ProgramError,
        graph::{CheckpointSettings, RestartStrategy},
        rpc::RpcService,
        service::{Services, log::Log, object_store::ObjectStore},
    },
};
use clap::{Args, Subcommand};
use std::{path::PathBuf, time::Duration};

/// The pause after a failure, doubled up to a bound with each one more.
const RESTART_DELAY: Duration = Duration::from_millis(500);
const RESTART_DELAY_MAX: Duration = Duration::from_millis(30_000);
/// A job that has not failed for so long is taken for sound.
const RESTART_RESET: Duration = Duration::from_millis(120_000);

/// A process's role.
#[derive(Subcommand)]
pub enum MiniNode {
    /// Uploads the text, submits the job, and ends when that has ended.
    Submit(Loader),
    /// Writes the lines to the input topic, and ends when all stand.
    Writer(Loader),
}

/// A process that brings the text.
#[derive(Args)]
pub struct Loader {
    #[command(flatten)]
    worker: Worker,
    /// The folder that says what is run
    #[arg(long)]
    run: PathBuf,
    /// Lines in one step at most
    #[arg(long)]
    lines: u32,
    /// From step to step
    #[arg(long, value_parser = parse_duration)]
    pause: Duration,
}

impl MiniNode {
    /// Runs it to its end.
    pub fn run(self) -> Result<Outcome, CliError> {
        match self {
            MiniNode::Submit(loader) => loader.run(async |load, service, services| {
                load.submit(service, services).await.map_err(|error| error.to_string())
            }),
            MiniNode::Writer(loader) => loader.run(async |load, _, services| {
                load.write(&*services.log).await.map_err(|error| error.to_string())
            }),
        }
    }
}

/// What there is to bring.
struct Load {
    kept: KeptRun,
    text: Text,
    pace: Pace,
}

impl Loader {
    fn run(
        self,
        work: impl AsyncFnOnce(Load, &RpcService, &Services) -> Result<(), String>,
    ) -> Result<Outcome, CliError> {
        let Loader { worker: Worker { place, servers }, run: folder, lines, pause } = self;
        let kept = KeptRun::load(&folder)?
            .ok_or_else(|| CliError::new(format!("{} holds no run", folder.display())))?;
        let text = Text::read(&kept.input())?;
        let load = Load { kept, text, pace: Pace { lines, pause } };
        run(place, async |host: Host, port| {
            let Some(service) = bind(&host, port).await else { return };
            let services = servers.config().services(&service);
            if let Err(error) = work(load, &service, &services).await {
                host.exit(&error);
            }
        })
    }
}

impl Load {
    async fn submit(self, service: &RpcService, services: &Services) -> Result<(), CliError> {
        let source = match self.kept.from() {
            Origin::Text => self.uploaded(&*services.objects).await?,
            Origin::Log => self.topic(),
        };
        run_job(service, services, &self.plan(source)?).await?;
        Ok(())
    }

    async fn write(self, log: &dyn Log) -> Result<(), CliError> {
        let lines = partition_lines(&self.text.lines(), PARALLELISM);
        let Pace { lines: batch, pause } = self.pace;
        Ok(write_lines(log, &topics(1).input, &lines, batch as usize, pause).await?)
    }

    /// A source that reads the text, which is uploaded first; once more is fine.
    async fn uploaded(&self, objects: &dyn ObjectStore) -> Result<Input, CliError> {
        let name = format!("text-{}", self.kept.job());
        let uploaded = upload_text(objects, &name, self.text.bytes()).await?;
        let pause_ms = u64::try_from(self.pace.pause.as_millis())?;
        Ok(Input::Text(TextSourceParameters { lines_max: self.pace.lines, pause_ms, ..uploaded }))
    }

    /// A source that reads the lines which the writer writes.
    fn topic(&self) -> Input {
        let lines = partition_lines(&self.text.lines(), PARALLELISM);
        let stop = lines.iter().map(|lines| lines.len() as u64).collect();
        Input::Log(LogSourceParameters::new(&topics(1).input, stop))
    }

    fn plan(&self, input: Input) -> Result<JobPlan, ProgramError> {
        let checkpoints = CheckpointSettings {
            interval_ms: self.kept.checkpoint_interval_ms(),
            ..CheckpointSettings::default()
        };
        let restarts =
            RestartStrategy::exponential(RESTART_DELAY, RESTART_DELAY_MAX, RESTART_RESET);
        let (job, topics) = (self.kept.job(), topics(1));
        let settings = JobSettings {
            parallelism: PARALLELISM,
            checkpoints,
            restarts,
            ..JobSettings::default()
        };
        let job = word_count(job, input, &topics.output, &settings)?;
        Ok(JobPlan {
            job,
            topics,
            inputs: PARALLELISM,
            outputs: PARALLELISM,
            cancel_after: None,
            cancel_at: None,
            course: JobCourse::default(),
            submission: Submission::ByClient,
        })
    }
}
