/** What keys of an ecosystem file of PM2 are called here; docs/guide.md has the same table, with more words. */
const KEYS: Readonly<Record<string, string>> = {
  apps: 'a configuration is of one app and has its keys at the top; one file for each, and `--config`',
  instances: "`workers`: a number or 'max'",
  exec_mode: 'nothing in its place: it is always a cluster',
  node_args: '`nodeOptions`, a list',
  interpreter_args: '`nodeOptions`, a list',
  source_map_support: "`nodeOptions: ['--enable-source-maps']`",
  max_memory_restart: "`maxMemory: '300mb'`",
  kill_timeout: '`drainTimeout`, in seconds',
  wait_ready: '`readiness: { explicit: true }`, and `worker.ready()` in the program',
  listen_timeout: '`handover reload --timeout <seconds>`',
  max_restarts: '`crashLoop: { deaths, within }`',
  min_uptime: '`crashLoop: { deaths, within }`',
  exp_backoff_restart_delay: 'nothing in its place: restarts always back off',
  restart_delay: 'nothing in its place: restarts always back off',
  autorestart: 'nothing in its place: a worker that ends is replaced',
  out_file: '`logs`, a folder',
  error_file: '`logs`, a folder',
  ignore_watch: '`watch: { ignore }`',
  watch_delay: '`watch: { delay }`',
  cron_restart: 'a timer that calls `handover reload`',
  instance_var: '`HANDOVER_WORKER` in the environment of each worker',
  increment_var: '`HANDOVER_WORKER` in the environment of each worker',
}

/** What stands for a key of PM2's; null: it has none of that name. */
export function insteadOfPm2(key: string): string | null {
  if (/^env_./.test(key)) return 'a configuration that is a function and looks, or a file each and `--config`'
  return Object.hasOwn(KEYS, key) ? (KEYS[key] as string) : null
}
