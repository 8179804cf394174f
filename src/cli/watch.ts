import { isAbsolute, relative, resolve, sep } from 'node:path'

export interface WatchOptions {
  /** Absolute. */
  readonly paths: readonly string[]
  /** Names of files and folders, or absolute paths, that do not count. */
  readonly ignore: readonly string[]
  /** Milliseconds without a change, after which it is told. */
  readonly delay: number
}

/**
 * Watches files and folders but `node_modules` and what begins with a dot.
 * @param changed  hears the paths, absolute, once it is quiet
 * @param failed   hears what cannot be watched
 * @returns what ends it, once everything is watched
 */
export async function watchFiles(
  options: WatchOptions,
  changed: (paths: readonly string[]) => void,
  failed: (error: Error) => void,
): Promise<() => Promise<void>> {
  const { watch } = await import('chokidar')
  const { paths, ignore, delay } = options
  const watcher = watch([...paths], { ignoreInitial: true, ignored: (path) => isIgnored(resolve(path), paths, ignore) })
  const seen = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  watcher.on('all', (_event, path) => {
    seen.add(resolve(path))
    clearTimeout(timer)
    timer = setTimeout(() => {
      const all = [...seen]
      seen.clear()
      changed(all)
    }, delay)
  })
  watcher.on('error', (error) => failed(error as Error))
  await new Promise<void>((ready) => watcher.once('ready', ready))
  return () => {
    clearTimeout(timer)
    return watcher.close()
  }
}

/** What was named itself counts, wherever it is; below it the rest is left out. */
export function isIgnored(path: string, roots: readonly string[], ignore: readonly string[]): boolean {
  const root = roots.filter((one) => isWithin(path, one)).sort((a, b) => b.length - a.length)[0]
  if (root === undefined) return false
  const names = relative(root, path).split(sep)
  if (names.some((name) => name === 'node_modules' || (name.startsWith('.') && name !== '.'))) return true
  return ignore.some((one) => (isAbsolute(one) ? isWithin(path, one) : names.includes(one)))
}

function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path)
  return way === '' || (!way.startsWith(`..${sep}`) && way !== '..' && !isAbsolute(way))
}

/** One at a time: what is asked for while it runs makes one more. */
export class OneAtATime {
  readonly #work: () => Promise<void>
  #running = false
  #again = false

  /** @param work  never rejects */
  constructor(work: () => Promise<void>) {
    this.#work = work
  }

  ask(): void {
    if (this.#running) {
      this.#again = true
      return
    }
    this.#running = true
    void this.#work().then(() => {
      this.#running = false
      if (!this.#again) return
      this.#again = false
      this.ask()
    })
  }
}
