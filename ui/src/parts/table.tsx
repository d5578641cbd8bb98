/** The one table: sortable, sticky head, rows that open, virtual past 200 rows, CSV. */
import {
  type ColumnDef,
  createSortedRowModel,
  rowSortingFeature,
  sortFns,
  tableFeatures,
  useTable,
} from '@tanstack/react-table';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type KeyboardEvent, type ReactNode, useMemo, useRef } from 'react';
import { InHeader } from './card';
import { toCsv } from './csv';
import { save } from './download';
import { useParam } from './url';

const features = tableFeatures({ rowSortingFeature, sortedRowModel: createSortedRowModel(), sortFns });

export interface Column<T> {
  id: string;
  head: string;
  /** What sorting and CSV use. */
  value: (row: T) => string | number | null | undefined;
  /** What is shown, if not the value. */
  cell?: (row: T) => ReactNode;
  number?: boolean;
  width?: number | string;
  /** Left out where there is room for a card only, as on a phone. */
  wide?: boolean;
  /** Left out below 1000 px. */
  roomy?: boolean;
  /** What a row is called by; else the first column of free width. */
  main?: boolean;
}

export interface DataTableProps<T extends object> {
  rows: T[];
  columns: Column<T>[];
  id: (row: T) => string;
  label: string;
  /** Opens a row by click, enter or `o`. */
  open?: (row: T) => void;
  /** File name for the export; none, no button. */
  csv?: string;
  sort?: string;
  aside?: ReactNode;
  maxHeight?: number;
  /** Few and short columns: it stays a table on a phone too. */
  stays?: boolean;
  /** Name of the address parameter that keeps the order. */
  param?: string;
}

const VIRTUAL_FROM = 200;

/** A button or link inside of a row does its own, and does not open the row. */
const isOwn = (target: EventTarget) => target instanceof Element && target.closest('button, a') !== null;

export function DataTable<T extends object>(props: DataTableProps<T>) {
  const { rows, columns, label, open } = props;
  const [order, setOrder] = useParam(props.param ?? 'sort', props.sort ?? '');
  const sorting = useMemo(() => (order ? [{ id: order.replace(/^-/, ''), desc: order.startsWith('-') }] : []), [order]);
  const defs = useMemo(
    () =>
      columns.map(
        (column): ColumnDef<typeof features, T, string | number | null> => ({
          id: column.id,
          header: column.head,
          accessorFn: (row) => column.value(row) ?? null,
          sortFn: column.number ? 'basic' : 'alphanumeric',
          sortUndefined: 'last',
        }),
      ),
    [columns],
  );
  const table = useTable({
    features,
    data: rows as T[],
    columns: defs as never,
    state: { sorting },
    getRowId: props.id as never,
  });
  const model = table.getRowModel().rows;
  const scroller = useRef<HTMLDivElement>(null);
  const isVirtual = model.length > VIRTUAL_FROM;
  const virtual = useVirtualizer({
    count: isVirtual ? model.length : 0,
    getScrollElement: () => scroller.current,
    estimateSize: () => 37,
    overscan: 20,
  });
  const seen = isVirtual ? virtual.getVirtualItems() : model.map((_, index) => ({ index }));
  const before = isVirtual ? (virtual.getVirtualItems()[0]?.start ?? 0) : 0;
  const last = virtual.getVirtualItems().at(-1);
  const after = isVirtual && last ? virtual.getTotalSize() - last.end : 0;

  const main = (columns.find((c) => c.main) ?? columns.find((c) => !c.width && !c.number))?.id;
  const classes = (column: Column<T>) =>
    [column.number && 'n', column.wide && 'wide', column.roomy && 'roomy', column.id === main && 'main']
      .filter(Boolean)
      .join(' ') || undefined;
  const turn = (id: string) => setOrder(order === id ? `-${id}` : order === `-${id}` ? '' : id);
  const walk = (event: KeyboardEvent<HTMLTableRowElement>, row: T) => {
    const to = { j: 'next', ArrowDown: 'next', k: 'previous', ArrowUp: 'previous' }[event.key];
    if (event.target !== event.currentTarget) return;
    if (to) {
      const row_ = event.currentTarget;
      const other = to === 'next' ? row_.nextElementSibling : row_.previousElementSibling;
      if (other instanceof HTMLElement) other.focus();
      event.preventDefault();
    } else if (event.key === 'Enter') {
      open?.(row);
    }
  };

  return (
    <>
      {(props.csv || props.aside) && (
        <InHeader>
          {props.aside && <span className="muted num">{props.aside}</span>}
          {props.csv && (
            <button
              type="button"
              className="plain link"
              style={{ minHeight: 24 }}
              onClick={() =>
                save(
                  `${props.csv}.csv`,
                  toCsv(
                    columns.filter((c) => c.head !== ''),
                    model.map((r) => r.original as T),
                  ),
                  'text/csv',
                )
              }
            >
              CSV
            </button>
          )}
        </InHeader>
      )}
      <div
        className="scroll sheet"
        ref={scroller}
        tabIndex={isVirtual ? 0 : undefined}
        style={isVirtual ? { maxHeight: props.maxHeight ?? 640, overflow: 'auto' } : undefined}
      >
        <table className={props.stays ? 't stays' : 't rows'} aria-label={label} aria-rowcount={model.length}>
          <thead className={isVirtual ? 'sticky' : undefined}>
            <tr>
              {columns.map((column) => (
                <th
                  key={column.id}
                  scope="col"
                  style={{ width: column.width }}
                  className={classes(column)}
                  aria-sort={order === column.id ? 'ascending' : order === `-${column.id}` ? 'descending' : undefined}
                >
                  {column.head === '' && <span className="sr">Actions</span>}
                  <button type="button" hidden={column.head === ''} onClick={() => turn(column.id)}>
                    {column.head}
                    {order === column.id ? ' ↑' : order === `-${column.id}` ? ' ↓' : ''}
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {before > 0 && <tr className="gap" style={{ height: before }} />}
            {seen.map(({ index }) => {
              const row = model[index];
              if (!row) return null;
              const it = row.original as T;
              return (
                <tr
                  key={row.id}
                  data-index={index}
                  ref={isVirtual ? virtual.measureElement : undefined}
                  className={open ? 'go' : undefined}
                  tabIndex={open ? 0 : undefined}
                  onClick={open ? (event) => isOwn(event.target) || open(it) : undefined}
                  onKeyDown={open ? (event) => walk(event, it) : undefined}
                >
                  {columns.map((column) => (
                    <td key={column.id} className={classes(column)} data-head={column.head || undefined}>
                      {column.cell ? column.cell(it) : (column.value(it) ?? <span className="faint">–</span>)}
                    </td>
                  ))}
                </tr>
              );
            })}
            {after > 0 && <tr className="gap" style={{ height: after }} />}
          </tbody>
        </table>
      </div>
    </>
  );
}
