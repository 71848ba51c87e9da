/** What a program reports in one line, without a stack trace: something the user can put right. */
export class UserError extends Error {}
