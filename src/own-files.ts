/** This package's modules, wherever they are: a file each in `dist/src`, a few bundles in `dist/lib`. */
const modules = new URL('./', import.meta.url)

/**
 * A module that another process is started with.
 *
 * @param name  from the root of the modules: `worker/preload.js`
 */
export function ownModule(name: string): URL {
  return new URL(name, modules)
}

/** @param name  a file or a folder of the package, from its root */
export function packageFile(name: string): URL {
  return new URL(`../../${name}`, modules)
}
