/** Who answers for an item: a person, else its team. */
import { useQuery } from '@tanstack/react-query';
import { peopleQuery } from '@/api/access';
import type { Item } from '@/api/inventory';
import { useTeamName } from './names';

type Owned = Pick<Item, 'owner' | 'team'>;

function useOwner(item: Owned): { owner: string | null | undefined; team: string | null } {
  const team = useTeamName(item.team);
  const isPerson = item.owner?.startsWith('per_') ?? false;
  const people = useQuery({ ...peopleQuery, enabled: isPerson, retry: false }).data?.items;
  return { owner: isPerson ? (people?.find((p) => p.id === item.owner)?.name ?? 'a person') : item.owner, team };
}

export function Owner({ item }: { item: Owned }) {
  const { owner, team } = useOwner(item);
  if (!owner && !team) return <span>No owner</span>;
  return (
    <span>
      {owner ? 'owner ' : 'team '}
      <b>{owner ?? team}</b>
      {owner && team && `, team ${team}`}
    </span>
  );
}

/** The name alone, for a column. */
export function OwnerName({ item }: { item: Owned }) {
  const { owner, team } = useOwner(item);
  return owner || team ? <span>{owner ?? team}</span> : <span className="faint">no owner</span>;
}
