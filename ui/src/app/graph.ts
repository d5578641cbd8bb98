/** Prometheus' own address of a graph, as `graphLink` and `tableLink` of alert templates write it, on this page. */

export function exploreOf(search: Record<string, unknown>): { expr: string; view: 'chart' | 'table' } {
  const view = String(search['g0.tab'] ?? '0') === '1' ? 'table' : 'chart';
  return { expr: String(search['g0.expr'] ?? ''), view };
}
