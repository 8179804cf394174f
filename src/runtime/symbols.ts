/** Node keeps some of what it knows of an object under symbols that it does not export. */

/** An object's own symbol of this description. */
export function symbolOf(object: object, description: string): symbol | undefined {
  return Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === description)
}

/** What an object has under its own symbol of this description. */
export function hidden(object: object, description: string): unknown {
  const symbol = symbolOf(object, description)
  return symbol === undefined ? undefined : (object as Record<symbol, unknown>)[symbol]
}

/** The same for one class of objects, whose symbol is looked for once: they all share it. */
export function hiddenIn<Value>(description: string): (object: object) => Value | undefined {
  let symbol: symbol | undefined
  return (object) => {
    symbol ??= symbolOf(object, description)
    return symbol === undefined ? undefined : ((object as Record<symbol, unknown>)[symbol] as Value | undefined)
  }
}
