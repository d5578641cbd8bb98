/** Live, stale since when, or paused: one press pauses and resumes. */
import { Tooltip } from '@mantine/core';
import { togglePause, useFeed } from '@/api/live';
import { StatusBadge } from '@/parts/status';
import { clock } from '@/parts/time';

export function LiveBadge() {
  const feed = useFeed();
  const since = feed.state === 'stale' ? feed.since : 0;
  const shown = {
    live: <StatusBadge status="ok">Live</StatusBadge>,
    connecting: <StatusBadge status="unknown">Connecting</StatusBadge>,
    paused: <StatusBadge status="maintenance">Paused</StatusBadge>,
    stale: (
      <StatusBadge status="warning">
        <span className="hide-s">Reconnecting, stale</span>
        <span className="only-s">Stale</span> since {clock(since)}
      </StatusBadge>
    ),
  }[feed.state];
  const hint = {
    live: 'Updates appear as they happen. Press to pause.',
    connecting: 'Waiting for the event feed.',
    paused: 'Updates are paused. Press to resume and catch up.',
    stale: 'Connection lost. It reconnects automatically and catches up.',
  }[feed.state];
  return (
    <Tooltip label={hint}>
      <button
        type="button"
        className="plain nowrap"
        onClick={togglePause}
        style={{ minHeight: 24 }}
        aria-label={`Event feed: ${feed.state}. ${hint}`}
      >
        {shown}
      </button>
    </Tooltip>
  );
}
