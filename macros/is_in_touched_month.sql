{% macro is_in_touched_month(month_column) -%}
    {%- set literals = [] -%}
    {%- for month in touched_months() -%}
        {%- do literals.append(text_literal(month)) -%}
    {%- endfor -%}
    {%- if literals -%}
        {{ month_column }} in ({{ literals | join(', ') }})
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}
