{% macro drop_partitions(column, values) -%}
    {%- if values and not should_full_refresh() and load_relation(this) is not none -%}
        {%- set specs = [] -%}
        {%- for value in values -%}
            {%- set spec = column ~ ' = ' ~ text_literal(value) -%}
            {%- do specs.append('partition (' ~ spec ~ ')') -%}
        {%- endfor -%}
        alter table {{ this }} drop if exists {{ specs | join(', ') }}
    {%- endif -%}
{%- endmacro %}
