import { SyscallError } from '../errors.js'

/** Passes a native result on, or throws the error it stands for. The stack starts at the caller of `caller`. */
export function checked(
  value: number,
  syscall: string,
  where?: { address?: string; port?: number },
  caller: (...args: never[]) => unknown = checked,
): number {
  if (value >= 0) return value
  const error = new SyscallError(value, syscall, where)
  Error.captureStackTrace(error, caller)
  throw error
}
