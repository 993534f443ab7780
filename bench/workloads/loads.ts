/**
 * How hard each change is asked for: the connections of the closed loop, and the arrivals per second of
 * the open one. Its floor and its rival get the same.
 */
export const loads = {
  create: { connections: 16, perSecond: 100 },
  hold: { connections: 16, perSecond: 50 },
  purchase: { connections: 8, perSecond: 8 },
} as const;
