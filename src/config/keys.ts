import type { z } from 'zod'

/** As much of a schema as leads to what is inside it. */
interface Inside {
  readonly _zod: { readonly def: { readonly [part: string]: unknown; readonly type: string } }
}

/** The keys that may stand at a path of a schema; none where any may, or where there is no object. */
export function keysAt(schema: z.ZodType, path: readonly PropertyKey[] = []): string[] {
  let at: Inside[] = [schema as unknown as Inside]
  for (const key of path) at = at.flatMap(open).flatMap((one) => inside(one, key))
  return at
    .flatMap(open)
    .flatMap(({ _zod: { def } }) => (def.type === 'object' ? Object.keys(def.shape as object) : []))
}

/** All keys with those inside them, as paths; `*` stands for any name, and for any place of a list. */
export function allKeys(schema: z.ZodType): string[] {
  const below = (path: readonly string[]): string[] =>
    keysAt(schema, path).flatMap((key) => {
      const here = [...path, key]
      return [here.join('.'), ...below(here), ...below([...here, '*'])]
    })
  return below([])
}

/** What is left without wrappings; all forms of a union. */
function open(schema: Inside): Inside[] {
  const { def } = schema._zod
  if (def.type === 'union') return (def.options as Inside[]).flatMap(open)
  const inner = def.innerType ?? (def.type === 'pipe' ? def.in : undefined)
  return inner === undefined ? [schema] : open(inner as Inside)
}

function inside({ _zod: { def } }: Inside, key: PropertyKey): Inside[] {
  if (def.type === 'record') return [def.valueType as Inside]
  if (def.type === 'array') return [def.element as Inside]
  const found = def.type === 'object' ? (def.shape as Record<PropertyKey, Inside>)[key] : undefined
  return found === undefined ? [] : [found]
}
