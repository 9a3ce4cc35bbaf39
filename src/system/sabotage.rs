//! The cluster's known bugs, each with the one line that prevents it somewhere below.

crate::sabotages! {
    /// A fenced endpoint handles a message that carries another session's token.
    STALE_TOKEN_ACCEPTED = "stale-token-accepted", "FLINK-7504", ["L2"];
    /// A confirmation of an older session is published as the leader record.
    STALE_CONFIRMATION_ACCEPTED = "stale-confirmation-accepted", "FLINK-11524", ["L4", "L3"];
    /// A leader whose lease is lost goes on as if it still held it.
    LOST_LEASE_TREATED_AS_ALIVE = "lost-lease-treated-as-alive", "FLINK-10052", ["stuck", "L7", "W1"];
    /// A recovery goes on, and its endpoint serves, though its term is over.
    RECOVERED_AFTER_THE_TERM = "recovered-after-the-term", "FLINK-9494", ["L6", "stuck", "L5", "D9"];
    /// The process of a term begins while that of the term before is still ending.
    TERMS_OVERLAP = "terms-overlap", "FLINK-11400", ["L6"];
    /// A confirmation of an older session makes an election forget that it leads.
    STALE_CONFIRMATION_RESETS = "stale-confirmation-resets", "FLINK-11524", ["L1", "stuck"];
    /// A contender is called back when its election's lock is open again, and may have stopped by then.
    CONTENDER_CALLED_UNLOCKED = "contender-called-unlocked", "FLINK-20008", ["L5"];
    /// An election that stops does not tell its contender that it leads no more.
    STOP_WITHOUT_A_REVOKE = "stop-without-a-revoke", "FLINK-30765", ["L5"];
    /// A leader record that says what it should is written again and again.
    RECORD_WRITTEN_FOR_EVER = "record-written-for-ever", "FLINK-27848", ["L4"];
    /// A leader record is written without the guard of its term.
    RECORD_WRITTEN_UNGUARDED = "record-written-unguarded", "FLINK-30474", ["L3", "L4"];
    /// Who leads no more erases the leader record, whoever stands in it.
    RECORD_ERASED_AT_A_REVOKE = "record-erased-at-a-revoke", "generic", ["L3"];
    /// A lease that gets no answer in time counts as lost while it may live.
    SUSPENSION_TAKEN_FOR_LOSS = "suspension-taken-for-loss", "FLINK-10052", ["L7"];
    /// A follower is told of the leader that it knows already.
    LEADER_TOLD_AGAIN = "leader-told-again", "FLINK-20047", ["L4"];
    /// A resource manager that was told of no leader rejects the next master for good.
    UNKNOWN_LEADER_REJECTED = "unknown-leader-rejected", "FLINK-21497", ["stuck"];
    /// A task executor goes on looking for a resource manager of which it is told that it leads no more.
    LEADER_KEPT_THOUGH_UNKNOWN = "leader-kept-though-unknown", "FLINK-16836", ["L8", "H5"];
    /// The runners of a dispatcher whose term is over go on competing for its jobs.
    RUNNERS_KEPT_AT_A_REVOKE = "runners-kept-at-a-revoke", "FLINK-10011", ["stuck", "L7", "L5", "D9"];
    /// A job's graph is removed before its result is kept.
    RESULT_KEPT_AFTER_THE_GRAPH = "result-kept-after-the-graph", "FLINK-11813", ["D1", "D5"];
    /// A dispatcher that can't read what is kept of jobs goes on without them.
    UNREAD_JOBS_SKIPPED = "unread-jobs-skipped", "FLINK-8943", ["stuck", "W1", "D9"];
    /// A dispatcher that takes over runs none of the jobs that were there.
    RECOVERED_JOBS_NOT_RUN = "recovered-jobs-not-run", "FLINK-8488", ["stuck", "D9", "W1"];
    /// A dispatcher that stops removes what its jobs have, as if they had ended.
    CLEANED_UP_AT_A_STOP = "cleaned-up-at-a-stop", "FLINK-19816", ["C5", "D4", "D5"];
    /// The objects of a job that has ended go before the pointers to them.
    OBJECTS_GO_BEFORE_POINTERS = "objects-go-before-pointers", "FLINK-22014", ["D4"];
    /// A master adds and removes pointers whoever leads the job.
    POINTERS_NOT_GUARDED = "pointers-not-guarded", "FLINK-6612", ["L3"];
    /// A job that is being taken on is taken on once more.
    SUBMITTING_TAKEN_FOR_NEW = "submitting-taken-for-new", "FLINK-30596", ["L5", "no-panic", "stuck"];
    /// A program that executes its job again is refused, since that has ended.
    ENDED_JOB_FAILS_PROGRAM = "ended-job-fails-program", "FLINK-21928", ["P1"];
    /// The pointers of a job that has ended go before its result is kept.
    POINTERS_GO_BEFORE_RESULT = "pointers-go-before-result", "FLINK-21979", ["D5"];
    /// What a job's elections left stays when it is cleaned up.
    ELECTION_KEYS_LEFT = "election-keys-left", "FLINK-20695", ["stuck"];
    /// A server whose disk has failed stays, and answers nothing.
    FAILED_SERVER_STAYS = "failed-server-stays", "FLINK-19022", ["stuck", "D9"];
    /// A dispatcher removes what a job left whether it leads or not.
    REMOVAL_NOT_GUARDED = "removal-not-guarded", "generic", ["L3"];
    /// A notice of a leader that comes after its job has gone ends a task executor.
    LATE_NOTICE_UNEXPECTED = "late-notice-unexpected", "FLINK-16373", ["no-panic"];
    /// A task executor that has lost its resource manager waits for another one to lead.
    ONLY_ANOTHER_LEADER_FOLLOWED = "only-another-leader-followed", "FLINK-8393", ["stuck"];
    /// A task executor refuses to deploy into a slot before it knows that its master took it.
    ONLY_ACTIVE_SLOTS_DEPLOYED_TO = "only-active-slots-deployed-to", "FLINK-5836", ["S3"];
    /// A task executor follows a job of which it has no slot left.
    UNUSED_JOB_FOLLOWED = "unused-job-followed", "FLINK-8504", ["no-panic"];
    /// A master whose job has ended tells no task executor.
    ENDED_JOB_KEEPS_EXECUTORS = "ended-job-keeps-executors", "FLINK-8389", ["no-panic"];
    /// A slot that is reported as held stays free for a resource manager that did not know.
    REPORTED_HOLD_STAYS_FREE = "reported-hold-stays-free", "FLINK-8505", ["stuck"];
    /// A resource manager remembers what a job needs that has ended.
    ENDED_JOB_REMEMBERED = "ended-job-remembered", "FLINK-21942", ["stuck"];
    /// A slot that no job's master takes is held for ever.
    INACTIVE_SLOTS_KEPT = "inactive-slots-kept", "FLINK-21751", ["stuck"];
    /// A request for a slot that got no answer is waited for, for ever.
    PENDING_REQUESTS_KEPT = "pending-requests-kept", "FLINK-27409", ["stuck"];
    /// The slots of a lost task executor count as if they were there.
    LOST_SLOTS_STILL_COUNTED = "lost-slots-still-counted", "FLINK-9456", ["no-panic"];
    /// A task executor frees what a report does not list, however old that is.
    OLD_REPORT_OBEYED = "old-report-obeyed", "FLINK-12863", ["S6"];
    /// A deployment that comes after its cancellation, or after a newer one, begins.
    CANCELED_ATTEMPT_BEGINS = "canceled-attempt-begins", "FLINK-14859", ["E2"];
    /// The timer of a slot that was not taken yet frees it though it was taken since.
    SLOT_TIMER_NOT_OUTDATED = "slot-timer-not-outdated", "generic", ["H5", "J1", "stuck"];
    /// The good-bye of a former master drops the present one.
    FORMER_MASTER_OBEYED = "former-master-obeyed", "FLINK-5893", ["H4"];
    /// A master takes for granted that a resource manager is there.
    MANAGER_TAKEN_FOR_GRANTED = "manager-taken-for-granted", "FLINK-18372", ["no-panic"];
    /// A task that is being deployed is taken for lost by a report from before.
    PENDING_TAKEN_FOR_MISSING = "pending-taken-for-missing", "FLINK-17075", ["E6", "J1"];
    /// A target of which calls find that nobody runs there is waited for as one that is silent.
    UNREACHABLE_IGNORED = "unreachable-ignored", "FLINK-23209", ["H2"];
    /// A registration that gets no answer in time is tried again with no more time.
    TIMEOUT_TAKEN_FOR_ERROR = "timeout-taken-for-error", "FLINK-8420", ["S7"];
    /// A watch is not told of keys that were removed.
    WATCH_LEAVES_OUT_REMOVALS = "watch-leaves-out-removals", "generic", ["watch-complete"];
    /// A repeated call is handed to its handler again.
    AT_MOST_ONCE_WINDOW_OFF = "at-most-once-window-off", "generic", ["R2"];
    /// A dispatcher acknowledges a job before its graph is durable.
    JOB_ACKNOWLEDGED_BEFORE_DURABLE = "job-acknowledged-before-durable", "generic", ["D1"];
    /// A dispatcher takes a job on that has ended already.
    ENDED_JOB_TAKEN_ON_AGAIN = "ended-job-taken-on-again", "generic", ["D2", "stuck"];
    /// A checkpoint is confirmed to the tasks before its pointer is stored.
    COMPLETE_BEFORE_STORED = "complete-before-stored", "G-7", ["C4", "X5"];
    /// A part is taken that names files which were removed.
    REMOVED_FILES_NAMED_AGAIN = "removed-files-named-again", "FLINK-24611", ["C5", "X4"];
    /// Files that no checkpoint names are removed while a pending one may name them.
    FILES_GO_AT_ONCE = "files-go-at-once", "FLINK-23949", ["C5", "X4"];
    /// What checkpoints leave that come to nothing stays until their job ends.
    LEFT_OBJECTS_STAY = "left-objects-stay", "FLINK-5063", ["C6"];
    /// Files of older checkpoints are taken for left behind though newer ones name them.
    FILES_IN_USE_SWEPT = "files-in-use-swept", "generic", ["C5", "C17", "X4", "stuck"];
    /// A job that was stopped takes checkpoints as long as none of its tasks has finished, so that its sources read on.
    CHECKPOINTS_AFTER_THE_STOP = "checkpoints-after-the-stop", "generic", ["C11", "X4"];
    /// A savepoint's metadata is put before the parts that it names.
    SAVEPOINT_BEFORE_ITS_PARTS = "savepoint-before-its-parts", "generic", ["C14"];
    /// A checkpoint that is being copied as a savepoint goes when a newer one is complete.
    SAVEPOINT_DOES_NOT_HOLD_ITS_CHECKPOINT = "savepoint-without-its-hold", "FLINK-10225", ["C14"];
    /// What a task tells once more of a checkpoint that is being copied is taken for what nobody needs.
    COPIED_PARTS_COME_LATE = "copied-parts-come-late", "generic", ["C14"];
    /// A job that is being drained forgets it when a checkpoint comes to nothing.
    DRAIN_FORGOTTEN_AFTER_A_FAILURE = "drain-forgotten", "generic", ["C14"];
    /// A job that began from a savepoint begins from it again, though it has checkpoints of its own.
    SAVEPOINT_BEATS_CHECKPOINTS = "savepoint-beats-checkpoints", "FLINK-8546", ["C3", "X4"];
    /// A completed checkpoint that can't be read at the moment is skipped in recovery.
    UNREADABLE_CHECKPOINT_SKIPPED = "unreadable-checkpoint-skipped", "FLINK-22502", ["C3", "X4"];
    /// A job goes on with whatever is left of its checkpoints, if its newest is not there or can't be read.
    OLDER_CHECKPOINT_INSTEAD = "older-checkpoint-instead", "FLINK-22502", ["C3", "X4"];
    /// A master that waits for a service before it can go on with its job says nothing of it.
    RECOVERY_WAITS_IN_SILENCE = "recovery-waits-in-silence", "generic", ["C15"];
    /// A checkpoint is stored once all that older ones left is removed.
    REMOVAL_BLOCKS_STORING = "removal-blocks-storing", "Arroyo 1086", ["C16"];
    /// A job whose tasks run again after a failure has nobody who begins its checkpoints.
    CHECKPOINTS_NOT_BEGUN_AGAIN = "checkpoints-not-begun-again", "FLINK-13256", ["C16", "stuck"];
    /// The answer to an older round of slot offers is applied.
    OLD_OFFER_ROUND_APPLIED = "old-offer-round-applied", "FLINK-21859", ["S4"];
    /// A slot that is held is handed out again.
    SLOT_HANDED_OUT_TWICE = "slot-handed-out-twice", "generic", ["S1"];
    /// An executor that loses the master of one job ends the tasks of all.
    ONE_JOB_TAKES_OTHERS_ALONG = "one-job-takes-others-along", "generic", ["H5", "J1"];
    /// A failure in one region of a job ends the attempts of all.
    ONE_REGION_TAKES_OTHERS_ALONG = "one-region-takes-others-along", "generic", ["E4"];
    /// A job that may not start again does so all the same.
    RESTARTS_WITHOUT_END = "restarts-without-end", "generic", ["E5"];
    /// A failed region starts again at once.
    RESTART_WITHOUT_DELAY = "restart-without-delay", "generic", ["E5"];
    /// The delay before a restart is taken for minutes where seconds are meant.
    RESTART_DELAY_IN_MINUTES = "restart-delay-in-minutes", "FLINK-22055", ["stuck"];
    /// A job keeps slots that it can't use from jobs that could.
    IDLE_SLOTS_KEPT = "idle-slots-kept", "generic", ["stuck"];
    /// A job of several regions that lacks slots keeps those in which a part of it runs.
    RUNNING_PART_KEEPS_ITS_SLOTS = "running-part-keeps-its-slots", "generic", ["stuck"];
    /// The late word of a former connection between a job's master and a task executor ends the present one.
    FORMER_CONNECTION_OBEYED = "former-connection-obeyed", "generic", ["H4"];
    /// A canceled task that does not end is waited for for ever.
    STUCK_TASKS_KEPT = "stuck-tasks-kept", "generic", ["D9", "stuck"];
    /// Tasks run on their process's main thread.
    TASKS_SHARE_THE_MAIN_THREAD = "tasks-share-the-main-thread", "generic", ["X6", "H1", "H2"];
    /// A beat does not put off the loss of whoever sends it.
    BEATS_NOT_COUNTED = "beats-not-counted", "generic", ["H1"];
    /// Whoever beat since the last look is given the whole time-out from this one.
    SILENCE_COUNTED_FROM_A_LOOK = "silence-counted-from-a-look", "generic", ["H2"];
    /// A deployment is accepted from a job master that no longer leads.
    OLD_MASTER_DEPLOYS = "old-master-deploys", "generic", ["S3"];
    /// What an executor no longer runs is taken for lost while the word of its end is on its way.
    UNTOLD_END_TAKEN_FOR_LOSS = "untold-end-taken-for-loss", "generic", ["E6"];
    /// A cancellation is acknowledged before it is durable.
    CANCELLATION_NOT_DURABLE = "cancellation-not-durable", "generic", ["D7"];
    /// A checkpoint whose pointer got no answer is given up without seeing to it that it never comes.
    PENDING_POINTER_NOT_FENCED = "pending-pointer-not-fenced", "generic", ["C1", "C2", "C3", "C5", "C8", "no-panic"];
    /// A fence does not say which pointer is the newest without the one that it keeps out.
    FENCE_FORGETS_THE_NEWEST = "fence-forgets-the-newest", "generic", ["stuck"];
    /// Of the checkpoints that a job bears all that failed count, and not those in a row.
    FAILED_CHECKPOINTS_ADD_UP = "failed-checkpoints-add-up", "generic", ["C13"];
    /// A source without end reads no partition that is added to its topic.
    NEW_PARTITIONS_NOT_READ = "new-partitions-not-read", "generic", ["stuck"];
    /// A group is told what was handled before the checkpoint is complete.
    OFFSETS_COMMITTED_AT_BARRIER = "offsets-committed-at-barrier", "generic", ["X7", "M8"];
    /// Retention removes records without a look at what jobs hold.
    RETENTION_PAST_CHECKPOINT = "retention-past-checkpoint", "generic", ["log-durable", "X10"];
    /// A source holds what the newest checkpoint needs, while older ones may be restored.
    NEWEST_CHECKPOINT_HELD = "newest-checkpoint-held", "generic", ["X10"];
    /// The sink commits a transaction at the barrier, before the checkpoint is complete.
    SINK_COMMITS_AT_BARRIER = "sink-commits-at-barrier", "generic", ["X5", "X4"];
    /// A database takes the rows of a checkpoint without the row that says which checkpoint it was.
    DATABASE_ROW_LEFT_OUT = "database-row-left-out", "generic", ["X8", "X4", "database-durable"];
    /// A commit to a database whose answer is lost counts as refused, and its rows go with the next checkpoint.
    INDETERMINATE_COMMIT_TAKEN_FOR_REFUSED = "indeterminate-commit-refused", "generic", ["X4", "X8", "stuck"];
    /// A database takes the writes of older attempts.
    DATABASE_WRITERS_NOT_FENCED = "database-writers-not-fenced", "generic", ["X8", "X4"];
    /// The rows of a checkpoint go to the database at its barrier.
    DATABASE_ROWS_AT_BARRIER = "database-rows-at-barrier", "generic", ["X8", "X4"];
    /// A file sink renames its parts at the barrier, before the checkpoint is complete.
    FILES_RENAMED_AT_BARRIER = "files-renamed-at-barrier", "generic", ["X9", "X4"];
    /// A rename whose answer is lost counts as done.
    INDETERMINATE_RENAME_TAKEN_FOR_DONE = "indeterminate-rename-done", "generic", ["X9", "X4"];
    /// A file sink that is restored leaves the parts pending that its state names.
    PENDING_FILES_LEFT_AT_RESTORE = "pending-files-left", "generic", ["X9", "X4"];
    /// The parts of an attempt have the names that those of the attempt before it had.
    PART_NAMES_REUSED = "part-names-reused", "generic", ["X9", "X4"];
    /// Of a rename the object store's log keeps only that the old name is gone.
    RENAME_HALF_KEPT = "rename-half-kept", "generic", ["object-store-durable", "X9"];
    /// A cluster that is there for one job ends while something of the job is left.
    CLUSTER_ENDS_BEFORE_CLEANUP = "cluster-ends-before-cleanup", "FLINK-23647", ["P1", "no-panic", "stuck"];
    /// A cluster ends with what its program came to, and nobody keeps that.
    OUTCOME_NOT_KEPT = "outcome-not-kept", "generic", ["P1"];
    /// A dispatcher that stops leading takes the whole cluster along.
    CLUSTER_ENDS_WITH_A_TERM = "cluster-ends-with-a-term", "FLINK-25486", ["P1"];
    /// What was emitted and has no room is no part of the state that a task keeps.
    OVERFLOW_LOST_AT_A_BARRIER = "overflow-lost-at-a-barrier", "generic", ["C17", "X4", "stuck"];
    /// A provider of machines obeys whichever resource manager attached last, however old its word is.
    LATE_MANAGER_OBEYED = "late-manager-obeyed", "generic", ["S10"];
    /// Machines that were asked for and have not come are asked for again.
    COMING_WORKERS_FORGOTTEN = "coming-workers-forgotten", "FLINK-24713", ["S8"];
    /// Slots that jobs hold beyond what they need don't count among those that will be free.
    SURPLUS_SLOTS_FORGOTTEN = "surplus-slots-forgotten", "FLINK-24713", ["S8"];
    /// A machine whose task executor is lost is neither awaited nor given back.
    LOST_WORKERS_FORGOTTEN = "lost-workers-forgotten", "FLINK-24377", ["S8", "stuck"];
    /// Machines that no job needs are kept.
    IDLE_WORKERS_KEPT = "idle-workers-kept", "generic", ["stuck"];
    /// A request for a machine without an answer is not made again.
    MACHINES_ASKED_FOR_ONCE = "machines-asked-for-once", "generic", ["stuck"];
    /// A machine that is given back without an answer is not given back again.
    MACHINES_RELEASED_ONCE = "machines-released-once", "generic", ["stuck"];
    /// Of two machines under one name each takes the other's place, in turn.
    TWINS_TAKE_TURNS = "twins-take-turns", "generic", ["S9"];
    /// A web monitor says of an answer that it has kept for a while that it is new.
    OLD_ANSWER_CALLED_FRESH = "old-answer-called-fresh", "generic", ["W1", "W2", "W4", "W5"];
    /// A web monitor gives an answer again for as long as if no leader gave another one.
    ANSWERS_NOT_ASKED_ANEW = "answers-not-asked-anew", "generic", ["W2"];
    /// A web monitor says that a job is to end when nobody has said so.
    UNANSWERED_CANCELLATION_ACCEPTED = "unanswered-cancel-accepted", "generic", ["W3", "D7", "stuck"];
    /// A web monitor tells since when a job has its status as if its answer were new.
    OLD_TIMES_NOT_SHIFTED = "old-times-not-shifted", "generic", ["W4"];
    /// A channel that delivered its barrier is read on while others have not.
    BARRIERS_DONT_BLOCK = "barriers-dont-block", "G-10", ["C7"];
    /// A channel that becomes idle lets the watermarks of all idle ones pass, though others hold them back.
    IDLE_CHANNEL_LETS_ALL_PASS = "idle-channel-lets-all-pass", "generic", ["X3"];
    /// The timers of event time are left behind when the state of a key is restored.
    TIMERS_LOST_AT_RESTORE = "timers-lost-at-restore", "generic", ["C17", "X4"];
    /// A subtask of a job that goes on at another parallelism takes over the key groups of all.
    KEY_GROUPS_TAKEN_BY_ALL = "key-groups-taken-by-all", "generic", ["C17", "X4"];
    /// What comes while a snapshot of the heap is written changes what that holds.
    SNAPSHOT_SEES_LATER_WRITES = "snapshot-sees-later-writes", "generic", ["C17", "X4"];
    /// What is kept of a key under names is left behind when its state is restored.
    ENTRIES_LOST_AT_RESTORE = "entries-lost-at-restore", "generic", ["X4"];
    /// A window that is restored fires once more when nothing is kept of it any longer.
    WINDOW_FIRES_AGAIN_AFTER_RESTORE = "window-fires-again", "generic", ["X4"];
    /// A front end has room for whatever comes.
    CAPACITY_NOT_KEPT = "capacity-not-kept", "M-04", ["M2"];
    /// A request is written before its front end has an entry for it.
    WRITTEN_BEFORE_ITS_ENTRY = "written-before-its-entry", "M-02", ["M5", "M4", "M7"];
    /// Front ends all read the first one's responses.
    RESPONSE_PARTITION_SHARED = "response-partition-shared", "M-06", ["M7", "M5"];
    /// A response to another life of a front end answers the request of that number.
    FOREIGN_RESPONSES_ANSWER = "foreign-responses-answer", "generic", ["M5", "M4", "M1"];
    /// The requests of a front end that begins again have the names of those before.
    EVENT_IDS_REUSED = "event-ids-reused", "M-09", ["M1", "M4", "M5", "X4"];
    /// A service keeps the answers to requests under a key beside its state, so that no checkpoint has them.
    ANSWERS_BESIDE_THE_STATE = "answers-beside-the-state", "M-11", ["M6", "X4"];
    /// A request that had no response keeps its room for ever.
    UNANSWERED_ENTRIES_KEPT = "unanswered-entries-kept", "generic", ["M3", "M7"];
    /// Who reads responses gives up at one whose request has ended.
    LATE_RESPONSE_ENDS_READER = "late-response-ends-reader", "M-01", ["M5", "stuck"];
    /// Responses are read from where they end a while after requests are accepted.
    RESPONSES_FROM_THE_NEWEST = "responses-from-the-newest", "M-08", ["M5"];
    /// Requests whose write got no answer are written again under another producer.
    REQUESTS_WRITTEN_AGAIN = "requests-written-again", "generic", ["X4", "M6"];
    /// A plain sink goes on before the log has answered.
    RESPONSES_NOT_AWAITED = "responses-not-awaited", "generic", ["M8"];
    /// An older checkpoint is given up only if it was begun earlier by a coarse clock.
    SUBSUMED_BY_TIME = "subsumed-by-time", "FLINK-4417", ["C8", "C10", "no-panic", "C1"];
    /// A completed checkpoint that can't be read at the moment is removed in recovery.
    UNREADABLE_CHECKPOINT_REMOVED = "unreadable-checkpoint-removed", "FLINK-7783", ["C5", "C3", "X4", "C15", "stuck"];
    /// A checkpoint whose pointer stands after a missing answer is given up all the same.
    STANDING_POINTER_GIVEN_UP = "standing-pointer-given-up", "FLINK-24543", ["C8", "C18", "C5", "C3", "C11", "X5", "X4"];
    /// A checkpoint that is taken for a savepoint is not among those from which a job goes on.
    SAVEPOINTS_LEFT_OUT = "savepoints-left-out", "FLINK-10354", ["C5", "C3", "X4", "stuck", "no-panic"];
    /// A number that comes when the checkpoints have begun anew blocks all further ones.
    LATE_DRAW_BLOCKS_TRIGGERS = "late-draw-blocks-triggers", "FLINK-18137", ["C16", "stuck"];
    /// What is pending when attempts fail stays pending.
    PENDING_OUTLIVES_A_FAILURE = "pending-outlives-a-failure", "FLINK-7844", ["no-panic", "C12", "E3"];
    /// A word against a checkpoint that has ended counts as one more failure.
    OLD_DECLINES_COUNT = "old-declines-count", "FLINK-13593", ["C10", "C13"];
    /// A checkpoint that takes too long doesn't count as a failure.
    EXPIRED_NOT_COUNTED = "expired-not-counted", "FLINK-17351", ["C13"];
    /// A job whose stop came to nothing takes no more checkpoints by itself.
    FAILED_STOP_ENDS_CHECKPOINTS = "failed-stop-ends-checkpoints", "FLINK-15152", ["C16", "stuck"];
    /// A failure is ignored once the final checkpoint may be complete.
    FAILURE_IGNORED_AT_THE_END = "failure-ignored-at-the-end", "FLINK-12858", ["stuck"];
    /// A job begins to take checkpoints before all its attempts run.
    BEGUN_BEFORE_ALL_RUN = "begun-before-all-run", "FLINK-22003", ["C16"];
    /// A task that begins from a checkpoint is told of it as if it had taken part in it.
    TOLD_OF_WHAT_IT_BEGAN_FROM = "told-of-what-it-began-from", "FLINK-24096", ["C4"];
    /// A region is deployed while a checkpoint is being stored from which it would have to begin.
    DEPLOYED_WHILE_STORING = "deployed-while-storing", "FLINK-14389", ["C3", "X5", "X4"];
    /// An object store's files are not synced before their records are.
    OBJECTS_NOT_SYNCED = "objects-not-synced", "FLINK-36421", ["stuck", "object-store-durable", "C5"];
    /// The ids of checkpoints and the epochs of attempts are counted in memory.
    IDS_COUNTED_IN_MEMORY = "ids-counted-in-memory", "G-6", ["C1", "stuck"];
    /// A sink expects a transaction of every checkpoint.
    COMMIT_WANTS_A_TRANSACTION = "commit-wants-a-transaction", "FLINK-10377", ["J1", "stuck", "M7"];
    /// A job that was stopped and whose tasks fail goes on from before its savepoint.
    RESTORED_BEFORE_THE_STOP = "restored-before-the-stop", "FLINK-26783", ["C3", "C5", "X4", "C11"];
    /// A task that is restored from behind its end handles the end again.
    END_HANDLED_AGAIN = "end-handled-again", "FLINK-25920", ["X4"];
    /// A sink can't be restored with more than one transaction.
    ONE_TRANSACTION_RESTORED = "one-transaction-restored", "FLINK-29627", ["stuck"];
    /// A job that is stopped but not drained handles the end of its data.
    STOP_ENDS_THE_DATA = "stop-ends-the-data", "FLINK-21132", ["C17", "X4", "stuck"];
    /// A sink's snapshot leaves out what it has not written yet.
    SNAPSHOT_WITHOUT_FLUSH = "snapshot-without-flush", "FLINK-5701", ["X4", "M7", "stuck"];
    /// A sink aborts what its producer left before it commits what it was restored with.
    RESTORED_ABORTED_FIRST = "restored-aborted-first", "FLINK-13535", ["X5", "X4", "stuck"];
    /// A commit that comes late commits the next transaction of its producer.
    LATE_COMMIT_HITS_THE_NEXT = "late-commit-hits-the-next", "KIP-890", ["X5", "X4"];
    /// Each marker of a checkpoint that is given up is sent on.
    MARKERS_MULTIPLY = "markers-multiply", "FLINK-5285", ["C8"];
    /// A task with several inputs awaits the barriers of the first one only.
    FIRST_GATE_ALONE_ALIGNS = "first-gate-alone-aligns", "FLINK-18139", ["C7", "X4", "C17"];
    /// A word that an older checkpoint is given up ends the alignment of a newer one.
    LATE_CANCEL_RESETS_ALIGNMENT = "late-cancel-resets-alignment", "FLINK-23201", ["C16"];
    /// The state of a checkpoint that was given up is written to its end.
    ABORTED_UPLOAD_GOES_ON = "aborted-upload-goes-on", "FLINK-28474", ["C6"];
    /// What waited for channels is left behind when a job goes on at another parallelism.
    WAITING_LOST_AT_A_RESCALE = "waiting-lost-at-a-rescale", "FLINK-31963", ["X4", "C17"];
    /// A channel that has ended holds the watermark back.
    ENDED_CHANNEL_HOLDS_BACK = "ended-channel-holds-back", "FLINK-35157", ["X4"];
    /// A region is deployed with an epoch that was drawn for what it was before.
    OUTDATED_PLAN_DEPLOYED = "outdated-plan-deployed", "FLINK-20626", ["no-panic", "E1", "D9", "stuck"];
    /// A task that ends leaves its result partitions behind.
    PARTITIONS_NOT_RELEASED = "partitions-not-released", "FLINK-13371", ["no-panic"];
    /// A sink that is restored takes all parts of a checkpoint for committed if its first one is.
    COMMITTED_BY_ID = "committed-by-id", "ICEB-14090", ["X9", "X4"];
    /// The rows of a checkpoint are written together with those of the one before.
    EPOCHS_NOT_KEPT_APART = "epochs-not-kept-apart", "ICEB-10526", ["X8", "X4"];
    /// A sink forgets that a write has failed.
    SEND_ERROR_CLEARED = "send-error-cleared", "FLINK-35749", ["X4", "stuck"];
    /// A savepoint with which a job ends comes to nothing when attempts fail meanwhile.
    SAVEPOINT_LOST_WITH_A_FAILURE = "savepoint-lost-with-a-failure", "FLINK-33522", ["C14"];
    /// A task at the end of its data finishes before the final checkpoint is complete.
    FINISHES_UNCONFIRMED = "finishes-unconfirmed", "Arroyo 1124", ["C11", "X4", "X5", "X8", "X9", "no-panic"];
    /// An object store refuses to rename what it has renamed already.
    RENAMED_BEFORE_IS_REFUSED = "renamed-before-is-refused", "Arroyo 1027", ["stuck"];
    /// A stream is idle after so long by the clock, even if its task could read nothing.
    IDLE_BY_WALL_TIME = "idle-by-wall-time", "FLINK-35886", ["X3"];
    /// A lease counts as kept alive when no answer says so.
    UNANSWERED_LEASE_KEPT = "unanswered-lease-kept", "TB #3528", ["L7", "stuck"];
    /// A request that has begun may take for ever to come.
    BEGUN_REQUEST_NEVER_ENDS = "begun-request-never-ends", "TB 017aa39", ["stuck"];
    /// What is kept of a job is removed when it is to be canceled and before it has ended.
    REMOVED_BEFORE_THE_END = "removed-before-the-end", "RW #14910", ["D5", "D4", "no-panic", "stuck"];
    /// Files of which it is not known that a checkpoint names them are removed though one does.
    FILES_IN_USE_REMOVED = "files-in-use-removed", "FLINK-24611", ["C5", "X4"];
    /// Of a job whose final checkpoint is complete only the regions start again in which attempts have failed.
    FINAL_RESTART_IN_PARTS = "final-restart-in-parts", "FLINK-27972", ["stuck"];
    /// A decline ends the newest pending checkpoint, whichever it is for.
    DECLINE_HITS_THE_NEWEST = "decline-hits-the-newest", "generic", ["C18", "C10", "C13"];
    /// A checkpoint is given up after half of the time that it has.
    TOO_LONG_TOO_SOON = "too-long-too-soon", "generic", ["C18"];
    /// A word that an old attempt is not known ends what runs of its subtask now.
    OLD_WORD_ENDS_THE_NEW_ATTEMPT = "old-word-ends-the-new-attempt", "generic", ["H5"];
    /// A task executor that connects in another life is not given up first in its earlier one.
    EARLIER_LIFE_NOT_ENDED = "earlier-life-not-ended", "generic", ["H3", "stuck", "no-panic"];
    /// A leader takes the id of the term before.
    TERM_ID_REUSED = "term-id-reused", "generic", ["L1"];
    /// A master deploys under the number that is drawn next.
    NEXT_EPOCH_USED = "next-epoch-used", "generic", ["C1", "D3"];
    /// A checkpoint begins before the pause after the last one is over.
    PAUSE_NOT_KEPT = "pause-not-kept", "generic", ["C9"];
    /// An endpoint says that it has stopped when it begins to.
    STOP_TOLD_TOO_EARLY = "stop-told-too-early", "generic", ["R3"];
    /// A call waits twice as long for its answer as was agreed.
    DEADLINE_TWICE_AS_LATE = "deadline-twice-as-late", "generic", ["R4"];
    /// A buffer that waits is overtaken by the next one of its channel.
    BUFFERS_OVERTAKE = "buffers-overtake", "generic", ["X1"];
    /// A producer puts more into a subpartition than there is room for.
    ROOM_NOT_AWAITED = "room-not-awaited", "generic", ["X2"];
    /// A checkpoint is complete though one part is missing.
    COMPLETE_WITHOUT_ONE_PART = "complete-without-one-part", "generic", ["C2"];
    /// A part of a checkpoint that is told again counts once more.
    REPEATED_PART_COUNTS = "repeated-part-counts", "generic", ["E3"];
    /// A word of an attempt counts though a newer one of it is known.
    OLDER_STATE_TAKEN = "older-state-taken", "generic", ["E1"];
    /// A machine that has not come for long is waited for all the same.
    LATE_MACHINES_AWAITED = "late-machines-awaited", "generic", ["stuck"];
    /// A machine is asked for once, whatever comes of it, and waited for for ever.
    MACHINES_NEVER_ASKED_AGAIN = "machines-never-asked-again", "generic", ["stuck"],
        of [MACHINES_ASKED_FOR_ONCE, LATE_MACHINES_AWAITED];
    /// A part of a checkpoint that comes after its end stays where it is.
    LATE_PARTS_STAY = "late-parts-stay", "generic", ["C6"];
    /// What is written of a checkpoint goes on after its end, and nobody removes it.
    ABORTED_UPLOADS_STAY = "aborted-uploads-stay", "FLINK-28474", ["C6"],
        of [ABORTED_UPLOAD_GOES_ON, LATE_PARTS_STAY, LEFT_OBJECTS_STAY];
    /// Files that no checkpoint names are removed while a pending one may name them, and its parts are taken all the same.
    REMOVED_FILES_COMPLETE = "removed-files-complete", "FLINK-23949", ["C5", "X4"],
        of [FILES_GO_AT_ONCE, REMOVED_FILES_NAMED_AGAIN];
    /// A master does not hear that an attempt takes no part in a checkpoint, which ends when its time is over.
    DECLINES_UNHEARD = "declines-unheard", "generic", ["C19", "C12"];
    /// A resource manager keeps the jobs that it has to forget.
    FORGOTTEN_JOBS_KEPT = "forgotten-jobs-kept", "generic", ["no-panic"];
}
