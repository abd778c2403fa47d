{% macro contract_columns() %}
    {%- set columns = [] -%}
    {%- if execute -%}
        {%- for source in graph.sources.values()
            if source.source_name == 'pos' and source.name == 'sales' -%}
            {%- for column in source.columns.values()
                if 'written_by' not in column.meta -%}
                {%- do columns.append({
                    'name': column.name,
                    'data_type': column.data_type | lower | replace(' ', ''),
                    'is_required': column.meta.get('required', false),
                    'is_personal': column.meta.get('personal', false),
                    'minimum': column.meta.get('minimum'),
                    'maximum': column.meta.get('maximum'),
                }) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(columns) }}
{% endmacro %}
