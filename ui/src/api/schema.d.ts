// biome-ignore lint/suspicious/noExplicitAny: replaced by the generated description
export type paths = any;
