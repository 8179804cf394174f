/** What commands of PM2 and of others are called here, for those who type them. */
const COMMANDS: Readonly<Record<string, string>> = {
  start: 'run',
  restart: 'reload',
  delete: 'stop',
  kill: 'stop --now',
  ls: 'list',
  ps: 'list',
  jlist: 'status --json',
  show: 'status',
  describe: 'status',
  monit: 'top',
  update: 'upgrade',
}

/** A complaint about a command that is not known, with the one that was meant, if that is known. */
export function withOurs(complaint: string): string {
  return complaint.replace(/unknown command '([a-z]+)'(\n\(Did you mean .*\?\))?/, (all, name: string) => {
    return Object.hasOwn(COMMANDS, name) ? `unknown command '${name}': here it is \`handover ${COMMANDS[name]}\`` : all
  })
}
