/** What changed before it, ranked, each with its evidence. */
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import type { IncidentDetail } from '@/api/incidents';
import { Card, Chips, Meter } from '@/parts/card';
import { plural } from '@/parts/number';
import { Empty } from '@/parts/states';
import { address, readable } from '@/parts/story';
import { moment, span } from '@/parts/time';

/** `41 s before`, seen from when the incident opened. */
export function before(at: string, opened: string): string {
  const seconds = (Date.parse(opened) - Date.parse(at)) / 1000;
  return seconds >= 0 ? `${span(seconds)} before` : `${span(-seconds)} after`;
}

const FIRST = 5;

export function Suspects({ incident }: { incident: IncidentDetail }) {
  const suspects = incident.suspects;
  const [all, setAll] = useState(false);
  return (
    <Card
      title="What changed before it"
      aside={suspects.length > 0 ? `${plural(suspects.length, 'suspect')}, likeliest first` : undefined}
      flush
    >
      {suspects.length === 0 ? (
        <Empty title="Nothing changed on these items in the hours before">
          Look at the story below, or at what the affected items depend on.
        </Empty>
      ) : (
        <ol style={{ listStyle: 'none' }} aria-label="Suspects">
          {suspects.slice(0, all ? undefined : FIRST).map((suspect, i) => (
            <li key={suspect.seq} className="suspect">
              <span className="faint num">{i + 1}</span>
              <div>
                <b className="break">{suspect.title}</b>
                <div className="muted break">
                  {[readable(suspect.detail), before(suspect.at, incident.opened_at)].filter(Boolean).join(' · ')}
                  <span className="sr"> at {moment(suspect.at)}</span>
                </div>
                {suspect.evidence.length > 0 && (
                  <div style={{ marginTop: 5 }}>
                    <Chips values={suspect.evidence} />
                  </div>
                )}
              </div>
              <div className="score">
                <b className="num">{suspect.score.toFixed(2)}</b>
                <Meter ratio={suspect.score} label={`Likelihood of ${suspect.title}`} />
              </div>
              <Link to={address(suspect.subject) ?? `/timeline?seq=${suspect.seq}`} className="link right">
                Show
              </Link>
            </li>
          ))}
        </ol>
      )}
      {suspects.length > FIRST && (
        <button type="button" className="plain line link" style={{ width: '100%' }} onClick={() => setAll(!all)}>
          {all ? 'Show the likeliest only' : `Show ${plural(suspects.length - FIRST, 'less likely suspect')}`}
        </button>
      )}
    </Card>
  );
}
