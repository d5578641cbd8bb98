/** The places of the product: the navigation's verbs, their keys, and what the palette finds. */
export interface Place {
  text: string;
  href: string;
  keys?: string;
}

export const PLACES: { verb: string; places: Place[] }[] = [
  { verb: '', places: [{ text: 'Now', href: '/', keys: 'g n' }] },
  {
    verb: 'Respond',
    places: [
      { text: 'Incidents', href: '/incidents', keys: 'g i' },
      { text: 'Alerts', href: '/alerts', keys: 'g a' },
    ],
  },
  {
    verb: 'Observe',
    places: [
      { text: 'Hosts', href: '/hosts', keys: 'g h' },
      { text: 'Services', href: '/services', keys: 'g s' },
      { text: 'Metrics', href: '/explore', keys: 'g m' },
      { text: 'Logs', href: '/logs', keys: 'g l' },
      { text: 'Inventory', href: '/inventory', keys: 'g v' },
    ],
  },
  {
    verb: 'Change',
    places: [
      { text: 'Changes', href: '/changes', keys: 'g c' },
      { text: 'Runbooks', href: '/runbooks', keys: 'g b' },
      { text: 'Runs', href: '/runs', keys: 'g r' },
    ],
  },
];

export const FOOT: Place[] = [
  { text: 'Timeline', href: '/timeline', keys: 'g t' },
  { text: 'Admin', href: '/admin', keys: 'g d' },
];

/** Only where the server has it: `mainstay demo`. */
export const DEMO: Place = { text: 'Demonstration', href: '/demo' };

/** Sections of a page that are looked for by name; found by the palette, not in the navigation. */
export const SECTIONS: Place[] = [
  { text: 'Freezes and change windows', href: '/changes?tab=times' },
  { text: 'People', href: '/admin?tab=people' },
  { text: 'Teams', href: '/admin?tab=teams' },
  { text: 'Tokens and service accounts', href: '/admin?tab=tokens' },
  { text: 'Agents and join tokens', href: '/admin?tab=agents' },
  { text: 'Channels and messages', href: '/admin?tab=channels' },
  { text: 'Rules', href: '/admin?tab=rules' },
  { text: 'Audit', href: '/admin?tab=audit' },
  { text: 'Server and snapshots', href: '/admin?tab=server' },
];

export const ALL_PLACES: Place[] = [...PLACES.flatMap((group) => group.places), ...FOOT];
