import { kernel } from './kernel.js'

/**
 * Makes Node forget the path that it listens on with this descriptor: it would unlink the file on closing, and take
 * the port away from whoever it was handed to. Borrows the descriptor. Finds handles of this thread alone, by going
 * through all of them.
 * @returns true: the file stays; false: nothing here listens with it on a path, or has not any more
 * @see uv_pipe_bind of libuv
 */
export function forgetPipePath(descriptor: number): boolean {
  return kernel.forgetPipePath(descriptor) === 1
}
