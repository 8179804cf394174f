/** Options of requests: whatever a client sent, checked name by name. */
import { checkOptions, shown, wholeMilliseconds, wholeNumber } from '../arguments.js'
import { fieldsOf } from './messages.js'

type Fields = Readonly<Record<string, unknown>>
type Check = (name: string, value: unknown) => unknown

const isWhole: Check = (name, value) => wholeNumber(name, value, 0)

const isTime: Check = (name, value) => wholeMilliseconds(name, value)

const isFlag: Check = (name, value) => {
  if (typeof value === 'boolean') return value
  throw new TypeError(`${name}: true or false, not ${shown(value)}`)
}

const isText: Check = (name, value) => {
  if (typeof value === 'string' && !value.includes('\0')) return value
  throw new TypeError(`${name}: a text, not ${shown(value)}`)
}

/** What is in it the supervisor checks, by name. */
const isObject: Check = (name, value) => {
  if (fieldsOf(value) !== null) return value
  throw new TypeError(`${name}: an object, not ${shown(value)}`)
}

const areTexts: Check = (name, value) => {
  if (Array.isArray(value)) return value.map((one, index) => isText(`${name}[${index}]`, one))
  throw new TypeError(`${name}: a list of texts, not ${shown(value)}`)
}

const areVariables: Check = (name, value) => {
  const fields = fieldsOf(value)
  if (fields === null) throw new TypeError(`${name}: an object of texts, not ${shown(value)}`)
  return Object.fromEntries(Object.entries(fields).map(([key, text]) => [key, isText(`${name}.${key}`, text)]))
}

export const kinds = { isWhole, isTime, isFlag, isText, isObject, areTexts, areVariables }

/** Options as a command takes them; those that are left out are not there. @throws {TypeError | RangeError} by name */
export function checked<Options>(options: Fields, known: Readonly<Record<keyof Options & string, Check>>): Options {
  checkOptions(options, Object.keys(known))
  const given = Object.entries(options).filter(([, value]) => value !== undefined && value !== null)
  return Object.fromEntries(
    given.map(([name, value]) => [name, known[name as keyof typeof known](name, value)]),
  ) as Options
}
