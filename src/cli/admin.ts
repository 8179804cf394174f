import type { MakeReload } from '../control/reloads.js'
import { handoverVersion } from '../control/version.js'
import type { Supervisor } from '../supervisor/supervisor.js'
import { UsageError } from './options.js'
import { TOKEN_VARIABLE } from './own-variables.js'
import type { Printer } from './printer.js'

/** Where a supervisor is seen from outside. */
export interface AdminSettings {
  /** Of the service, as it is shown. */
  name?: string | undefined
  admin?:
    | {
        host?: string | undefined
        port?: number | undefined
        token?: string | undefined
        protectMetrics?: boolean | undefined
      }
    | undefined
  agentCheck?: { host?: string | undefined; port: number } | undefined
  /** Makes the reloads that are asked for there. */
  reload: MakeReload
}

/** What serves that; `listen` before the supervisor's start, so that nothing goes uncounted. */
export interface Admin {
  /** What it asks for: a successor has the same. Null: it asks for none. */
  readonly token: string | null
  /** @throws {SyscallError} a port is not to be had */
  listen(): Promise<void>
  close(): Promise<void>
}

/** The token that the environment has, which is no business of workers': it is taken out. */
export function takeAdminToken(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const token = env[TOKEN_VARIABLE]
  delete env[TOKEN_VARIABLE]
  return token === '' ? undefined : token
}

/**
 * Makes what was asked for; a token that nobody chose is made, and said once.
 * @returns null: nothing was asked for
 * @throws {UsageError} an address, or a token that is too short
 */
export async function adminOf(
  supervisor: Supervisor,
  settings: AdminSettings,
  printer: Printer,
): Promise<Admin | null> {
  const { admin, agentCheck, name, reload } = settings
  if (admin === undefined && agentCheck === undefined) return null
  const { AdminServer, AgentCheck, newToken } = await import('../admin/index.js') // loaded by those who ask for it
  const token = admin?.token ?? newToken()
  const server =
    admin &&
    usage(
      'admin',
      () =>
        new AdminServer(supervisor, {
          ...given({ host: admin.host, name }),
          port: admin.port ?? 0,
          token,
          protectMetrics: admin.protectMetrics ?? false,
          version: handoverVersion,
          reload,
        }),
    )
  const agent =
    agentCheck &&
    usage(
      'agent-check',
      () => new AgentCheck(supervisor, { ...given({ host: agentCheck.host }), port: agentCheck.port }),
    )
  let serves = false
  return {
    token: server === undefined ? null : token,
    async listen() {
      if (server && !serves) {
        const { host, port } = await server.start()
        serves = true
        const shown = `http://${host.includes(':') ? `[${host}]` : host}:${port}/`
        const made = admin?.token === undefined
        const url = made ? `${shown}?token=${token}` : shown
        printer.info('admin', `seen from outside at ${url}`, { host, port, ...(made && { token }) })
      }
      if (agent) {
        const { host, port } = await agent.start()
        printer.info('agent-check', `tells HAProxy its load at ${host}:${port}`, { host, port })
      }
    },
    async close() {
      await Promise.all([server?.stop(), agent?.stop()])
    },
  }
}

/** What is wrong with an option is its flag's. */
function usage<Made>(flag: string, make: () => Made): Made {
  try {
    return make()
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) throw new UsageError(`--${flag}: ${error.message}`)
    throw error
  }
}

function given<Options extends Record<string, string | undefined>>(
  options: Options,
): { [Key in keyof Options]?: string } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [Key in keyof Options]?: string
  }
}
