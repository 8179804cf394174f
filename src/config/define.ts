import type { ConfigExport } from './types.js'

export type {
  AdminConfig,
  ConfigExport,
  DistributionMode,
  Duration,
  Environment,
  GroupConfig,
  HandoverConfig,
  LogsConfig,
  ReadinessConfig,
  Size,
  WatchConfig,
} from './types.js'

/** Gives back what it gets, so that an editor knows the keys: `export default defineConfig({ workers: 'max' })`. */
export function defineConfig<Config extends ConfigExport>(config: Config): Config {
  return config
}
