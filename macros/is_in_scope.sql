{% macro is_in_scope(batch_column) -%}
    {%- set batches = batches_in_scope() -%}
    {%- if batches -%}
        {{ batch_column }} in ({{ batches | join(', ') }})
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
