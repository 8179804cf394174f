/** Why a connection did not get to a worker, or not where it asked for. */
export type Setback = 'refused' | 'late' | 'too long' | 'crowded out' | 'broken off' | 'inspection failed'
