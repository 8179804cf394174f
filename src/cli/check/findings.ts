/** Something that was looked at: as it should be, or not. */
export interface Finding {
  readonly level: 'ok' | 'warning' | 'usage' | 'system'
  /** What it is about, in one word or two. */
  readonly about: string
  readonly text: string
}

export const ok = (about: string, text: string): Finding => ({ level: 'ok', about, text })
export const warning = (about: string, text: string): Finding => ({ level: 'warning', about, text })
/** What is asked for cannot be. */
export const usage = (about: string, text: string): Finding => ({ level: 'usage', about, text })
/** The system would refuse it. */
export const system = (about: string, text: string): Finding => ({ level: 'system', about, text })
