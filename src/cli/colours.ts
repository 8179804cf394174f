import pc from 'picocolors'

/**
 * Colours for a stream that is a terminal, or where FORCE_COLOR asks for them. The package alone would also colour
 * what goes into a file on a machine that sets CI.
 */
export function coloursFor(stream: NodeJS.WriteStream): ReturnType<typeof pc.createColors> {
  return pc.createColors(pc.isColorSupported && (stream.isTTY === true || Boolean(process.env.FORCE_COLOR)))
}
