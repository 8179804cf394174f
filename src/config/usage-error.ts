/** Bad usage: what it says is one line, or one for each fault, and what to do. */
export class UsageError extends Error {}
