/**
 * How hard each change is asked for: the connections of the closed loop, and the arrivals per second of
 * the open one. Its floor and its rival get the same.
 */
export const loads = {
  create: { connections: 16, perSecond: 50 },
  hold: { connections: 8, perSecond: 20 },
  purchase: { connections: 4, perSecond: 5 },
} as const;
