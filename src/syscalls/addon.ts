import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { HandoverError } from '../errors.js'
import { packageFile } from '../own-files.js'

const root = fileURLToPath(packageFile(''))

/** Asking takes milliseconds: only done where there are prebuilds to choose between. */
function usesMusl(): boolean {
  if (process.platform !== 'linux') return false
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
  return report.header?.glibcVersionRuntime === undefined
}

function candidates(platform: string): string[] {
  const built = `${root}native/build/Release/handover.node`
  if (!existsSync(`${root}prebuilds`)) return [built]
  return [`${root}prebuilds/${platform}${usesMusl() ? '-musl' : ''}/handover.node`, built]
}

/** Loads the addon: a shipped prebuild first, then the local build. */
export function loadAddon(): unknown {
  const platform = `${process.platform}-${process.arch}`
  const found = candidates(platform).find((file) => existsSync(file))
  const remedy = `build it with \`npm run build:native\` in ${root}`
  if (found === undefined) {
    throw new HandoverError('ERR_HANDOVER_NO_ADDON', `there is no native addon for ${platform}; ${remedy}`)
  }
  try {
    return createRequire(found)(found)
  } catch (cause) {
    const why = `${found} cannot be loaded (${(cause as Error).message})`
    throw new HandoverError('ERR_HANDOVER_NO_ADDON', `${why}; ${remedy}`, { cause })
  }
}
