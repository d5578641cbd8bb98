/** Logs: search, how many over time, and the live tail. */
import { SegmentedControl } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { logHistogramQuery, logLabelsQuery, logsQuery } from '@/api/telemetry';
import { Action } from '@/parts/action';
import { Card, Headline } from '@/parts/card';
import { Editor } from '@/parts/editor';
import { LogView, wordsOf } from '@/parts/logview';
import { plural } from '@/parts/number';
import { TimeRangePicker, useRange } from '@/parts/range';
import { Empty, Shown } from '@/parts/states';
import { span } from '@/parts/time';
import { useParam } from '@/parts/url';
import { Gaps } from './gaps';
import { Histogram } from './histogram';
import { Tail } from './tail';

export function Logs() {
  const [q, setQ] = useParam('q');
  const [mode, setMode] = useParam('mode', 'search');
  const range = useRange('1h');
  const [draft, setDraft] = useState(q);
  const [limit, setLimit] = useState(300);
  const lines = useQuery({ ...logsQuery({ q, span: range.span, limit }), enabled: mode === 'search' });
  const histogram = useQuery({ ...logHistogramQuery({ q, span: range.span }), enabled: mode === 'search' });
  const labels = useQuery(logLabelsQuery).data ?? [];
  const total = (histogram.data?.buckets ?? []).reduce((sum, b) => sum + b.total, 0);
  const errors = (histogram.data?.buckets ?? []).reduce((sum, b) => sum + b.errors, 0);
  const run = (text: string) => {
    setDraft(text);
    if (text.trim() === q) {
      void lines.refetch();
      void histogram.refetch();
    } else setQ(text.trim());
  };
  return (
    <>
      <Headline
        tab="Logs"
        title={
          mode === 'tail'
            ? 'Live tail'
            : !histogram.data
              ? 'Logs'
              : `${plural(total, 'line')}${errors > 0 ? `, ${errors.toLocaleString()} errors` : ', no errors'}`
        }
        lede={
          <>
            Words, <span className="mono">"phrases"</span>, <span className="mono">/regular expressions/</span>,{' '}
            <span className="mono">label:value</span>, AND OR NOT.
            {labels.length > 0 && <> Labels: {labels.slice(0, 8).join(', ')}.</>}
          </>
        }
      />
      <div className="below" style={{ display: 'grid', gap: 10 }}>
        <div className="row" style={{ alignItems: 'flex-start' }}>
          <div className="grow">
            <Editor
              value={draft}
              change={setDraft}
              label="Log search"
              placeholder="error unit:nginx.service"
              complete={(word) => labels.filter((l) => l.startsWith(word)).map((l) => `${l}:`)}
              submit={() => run(draft)}
            />
          </div>
          <Action tone="primary" onClick={() => run(draft)} keys="↵">
            Search
          </Action>
        </div>
        <div className="row wrap between">
          <SegmentedControl
            size="xs"
            aria-label="Mode"
            value={mode}
            onChange={setMode}
            data={[
              { value: 'search', label: 'Search' },
              { value: 'tail', label: 'Live tail' },
            ]}
          />
          {mode === 'search' && <TimeRangePicker otherwise="1h" />}
        </div>
      </div>
      {mode === 'tail' ? (
        <Tail q={q} />
      ) : (
        <>
          <div className="below">
            <Card
              title="Lines over time"
              aside={histogram.data ? `one bar: ${span(histogram.data.step_ms / 1000)}` : undefined}
              flush={histogram.data?.buckets.length === 0}
            >
              <Shown
                query={histogram}
                what="The histogram"
                rows={1}
                empty={{ when: () => total === 0, show: <Empty title="No lines in this range" /> }}
              >
                {(data) => <Histogram data={data} />}
              </Shown>
            </Card>
          </div>
          <div className="below">
            <Gaps texts={lines.data?.warnings} />
            <Card
              title="Lines"
              aside={
                lines.data
                  ? `newest first${lines.data.is_complete ? '' : ', incomplete: stopped after 10 s'}`
                  : undefined
              }
              flush
            >
              <Shown
                query={lines}
                what="The search"
                rows={8}
                empty={{
                  when: (p) => p.items.length === 0,
                  show: <Empty title="No lines match">Use a wider range or fewer words.</Empty>,
                }}
              >
                {(page) => (
                  <>
                    <LogView lines={page.items} words={wordsOf(q)} />
                    {page.next && limit < 5000 && (
                      <div className="line">
                        <Action onClick={() => setLimit(Math.min(5000, limit * 3))}>Show more</Action>
                      </div>
                    )}
                  </>
                )}
              </Shown>
            </Card>
          </div>
        </>
      )}
    </>
  );
}
