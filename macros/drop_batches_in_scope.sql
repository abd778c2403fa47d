{% macro drop_batches_in_scope() -%}
    {%- set batches = batches_in_scope() -%}
    {%- if execute and not batches and load_relation(this) is not none -%}
        {%- set batches = partitions_of(this, 'batch_id') -%}
    {%- endif -%}
    {{ drop_partitions('batch_id', batches) }}
{%- endmacro %}
