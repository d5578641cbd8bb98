/** A made-up estate for development. */
export * from './automation.ts';
export * from './events.ts';
export * from './incidents.ts';
export * from './items.ts';
export * from './people.ts';
