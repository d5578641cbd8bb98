/** Taking an item out of service: it is kept, with its history, and counts no more. */
import { useQueryClient } from '@tanstack/react-query';
import { type ItemDetail, retireItem } from '@/api/inventory';
import { ConfirmDialog } from '@/parts/dialog';
import { say } from '@/parts/toast';

export function RetireDialog({ item, close }: { item: ItemDetail; close: () => void }) {
  const queries = useQueryClient();
  return (
    <ConfirmDialog
      title="Retire this item"
      open
      close={close}
      verb={`Retire ${item.name}`}
      name={item.name}
      submit={async () => {
        await retireItem(item.id);
        void queries.invalidateQueries({ queryKey: ['items'] });
        say('Retired; its history stays');
      }}
    >
      It is left out of lists, the map and health, with what is on it. An agent that tells of it again brings it back.
    </ConfirmDialog>
  );
}
