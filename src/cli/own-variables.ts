import { ACTIVATION_VARIABLES } from '../bootstrap/activation.js'
import { CHANNEL_VARIABLE } from '../bootstrap/inherit.js'
import { NOTIFY_VARIABLES } from '../bootstrap/notify.js'
import { SUCCESSION_VARIABLE } from '../supervisor/succession/description.js'

/** The variable that holds the token of the admin address. */
export const TOKEN_VARIABLE = 'HANDOVER_ADMIN_TOKEN'

/** What was said to one process alone, or is a secret of a supervisor's; `run` takes these out of its own environment too. */
const OWN: readonly string[] = [
  TOKEN_VARIABLE,
  ...NOTIFY_VARIABLES,
  ...ACTIVATION_VARIABLES,
  CHANNEL_VARIABLE,
  SUCCESSION_VARIABLE,
  'HANDOVER_LAST_WORDS',
  // Of a worker, in which a command may run. New ones are told their own.
  'HANDOVER_WORKER',
  'HANDOVER_GENERATION',
  'HANDOVER_GROUP',
  'HANDOVER_ORPHANS',
  'HANDOVER_CONTROL',
]

/** An environment without what is no business of workers. */
export function environmentForWorkers(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !OWN.includes(name)))
}
