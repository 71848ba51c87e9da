/** What the job reports in one line, without a stack trace: something the user can put right. */
export class JobError extends Error {}
