//! Programs by name: what a job is made from in every process of a cluster.
//!
//! A job graph carries the name of its program, the arguments, the version that the program's author set, and the
//! hash of the graph. Closures are in every binary, so none is ever sent.

use super::{plan::Plan, stream::StreamEnv};
use crate::{
    host::mix,
    system::{
        graph::{FunctionReport, GraphError, GraphReport, JobGraph, ProgramRef},
        ids::JobId,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

type Describe = dyn Fn(&mut StreamEnv, &str) -> Result<(), String> + Send + Sync;

/// Describes a job, given arguments.
#[derive(Clone)]
pub struct Program {
    name: String,
    version: u32,
    /// Arguments, as JSON, that show what it does.
    example: Option<String>,
    describe: Arc<Describe>,
}

/// Why a program has no job graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// No program has the name.
    #[error("no program is called {name:?}{}", or_these(.known))]
    Unknown {
        /// The name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The program can't be described with these arguments.
    #[error("{program}: {why}")]
    Refused {
        /// The program.
        program: String,
        /// Why.
        why: String,
    },
    /// No cluster could run the graph.
    #[error("{program}: {error}")]
    Graph {
        /// The program.
        program: String,
        /// Why.
        error: GraphError,
    },
    /// The job was made by another version of the program.
    #[error(
        "the job was made by version {} of {:?} with the graph {:016x}, and here is version {} with {:016x}",
        .job.version, .job.name, .job.hash, .here.version, .here.hash
    )]
    Differs {
        /// What the job was made by.
        job: Box<ProgramRef>,
        /// What is here.
        here: Box<ProgramRef>,
    },
}

fn or_these(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!("; there are {}", names.join(", ")),
    }
}

impl Program {
    /// One of this name and version, which `describe` turns into a job. Its arguments are read from JSON.
    ///
    /// The version is its author's to raise whenever what an operator does changes; what operators there are is
    /// compared by itself.
    pub fn new<A: DeserializeOwned>(
        name: &str,
        version: u32,
        describe: impl Fn(&mut StreamEnv, &A) -> super::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let describe = move |env: &mut StreamEnv, arguments: &str| {
            let arguments = match arguments {
                "" => "{}",
                given => given,
            };
            let arguments = serde_json::from_str::<A>(arguments)
                .map_err(|error| format!("the arguments are refused: {error}"))?;
            describe(env, &arguments).map_err(|failure| failure.0)
        };
        let (name, describe) = (name.to_string(), Arc::new(describe));
        Program { name, version, example: None, describe }
    }

    /// The same with arguments that show what it does, for whoever looks at it without any.
    #[must_use]
    pub fn with_example(self, arguments: &impl Serialize) -> Self {
        let example = serde_json::to_string(arguments).expect("arguments can be written as JSON");
        Program { example: Some(example), ..self }
    }

    /// Arguments, as JSON, that show what it does, if it has any.
    pub fn example(&self) -> Option<&str> {
        self.example.as_deref()
    }

    /// Its graphs, of these arguments as JSON.
    ///
    /// # Errors
    /// Why there are none.
    pub fn report(&self, arguments: &str, parallelism: u32) -> Result<GraphReport, ProgramError> {
        let plan = self.plan(arguments, parallelism)?;
        let job = self.job_of(&plan, JobId(0), arguments, parallelism)?;
        let functions = plan.shapes.iter().cloned();
        let functions = functions.map(|(reads, emits)| FunctionReport { reads, emits });
        Ok(GraphReport::new(&plan.graph, functions.collect(), &job))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn plan(&self, arguments: &str, parallelism: u32) -> Result<Plan, ProgramError> {
        let refused = |why| ProgramError::Refused { program: self.name.clone(), why };
        let mut env = StreamEnv::new(parallelism);
        (self.describe)(&mut env, arguments).map_err(refused)?;
        let plan = std::mem::take(&mut *env.plan.borrow_mut());
        Ok(plan)
    }

    /// A job of the program, of that id and name.
    ///
    /// # Errors
    /// Why there is none.
    pub fn job(
        &self,
        id: JobId,
        arguments: &str,
        parallelism: u32,
    ) -> Result<JobGraph, ProgramError> {
        let plan = self.plan(arguments, parallelism)?;
        self.job_of(&plan, id, arguments, parallelism)
    }

    fn job_of(
        &self,
        plan: &Plan,
        id: JobId,
        arguments: &str,
        parallelism: u32,
    ) -> Result<JobGraph, ProgramError> {
        let graph = plan.job_graph(id, &self.name);
        let mut graph =
            graph.map_err(|error| ProgramError::Graph { program: self.name.clone(), error })?;
        let hash = hash_of(&graph, plan);
        let (name, version) = (self.name.clone(), self.version);
        let arguments = arguments.to_string();
        graph.program = ProgramRef { name, version, arguments, parallelism, hash };
        Ok(graph)
    }
}

/// The hash of what two builds must agree on: vertices, edges, operators and the shapes of what flows between them.
fn hash_of(graph: &JobGraph, plan: &Plan) -> u64 {
    let mut text = String::new();
    for vertex in &graph.vertices {
        let _ = write!(
            text,
            "vertex {} {} {};",
            vertex.id.0, vertex.parallelism, vertex.max_parallelism
        );
        for operator in &vertex.operators {
            let _ = write!(text, "operator {} {};", operator.uid, operator.name);
        }
        for edge in &vertex.inputs {
            let _ =
                write!(text, "edge {} {} {};", edge.data_set.0, edge.producer.0, edge.partitioner);
        }
    }
    for (edge, side) in plan.graph.edges().iter().zip(&plan.edge_sides) {
        if let Some(side) = side {
            let _ =
                write!(text, "side {} {} {};", edge.source.0, plan.sides[*side].id, edge.target.0);
        }
    }
    for (node, (reads, emits)) in plan.graph.nodes().iter().zip(&plan.shapes) {
        let _ = write!(text, "shape {} {reads} {emits};", node.operator.uid);
    }
    text.bytes().fold(0x7761_7665, |hash, byte| mix(hash, u64::from(byte)))
}

/// The programs of a binary, by name: the same in every process of a cluster.
#[derive(Clone, Default)]
pub struct Programs {
    by_name: BTreeMap<String, Program>,
}

impl Programs {
    /// None.
    pub fn new() -> Self {
        Programs::default()
    }

    /// The same and one more.
    ///
    /// # Panics
    /// When there is one of its name.
    #[must_use]
    pub fn with(mut self, program: Program) -> Self {
        let name = program.name.clone();
        let taken = self.by_name.insert(name.clone(), program);
        assert!(taken.is_none(), "the program {name:?} is registered twice");
        self
    }

    /// The programs, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Program> {
        self.by_name.values()
    }

    /// The program of a name.
    ///
    /// # Errors
    /// [`ProgramError::Unknown`].
    pub fn get(&self, name: &str) -> Result<&Program, ProgramError> {
        self.by_name.get(name).ok_or_else(|| ProgramError::Unknown {
            name: name.to_string(),
            known: self.by_name.keys().cloned().collect(),
        })
    }

    /// Whether tasks of a job can be made here.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub fn accepts(&self, job: &JobGraph) -> Result<(), ProgramError> {
        self.plan(&job.program).map(drop)
    }

    /// The plan of a job that was made by a program.
    ///
    /// # Errors
    /// When the program is not here, or is another one here.
    pub fn plan(&self, reference: &ProgramRef) -> Result<Plan, ProgramError> {
        let program = self.get(&reference.name)?;
        let plan = program.plan(&reference.arguments, reference.parallelism)?;
        let id = JobId(0);
        let job = program.job_of(&plan, id, &reference.arguments, reference.parallelism)?;
        match job.program == *reference {
            true => Ok(plan),
            false => Err(ProgramError::Differs {
                job: Box::new(reference.clone()),
                here: Box::new(job.program),
            }),
        }
    }
}
